internal import CLanes
public import KernelInterface

/// The kernels of the level that this target is compiled for.
///
/// One folder is compiled once per level, each time as a module of its own.
public enum Kernels: KernelLevel {
  /// The level, as the compiler knows it here: 2, 3 or 4 of x86-64, 0 elsewhere.
  public static var level: Int {
    @inline(never) get { Int(lanes_level()) }
  }

  /// Whether a multiply-add is rounded once.
  public static var isFused: Bool {
    @inline(never) get { LANES_FUSED != 0 }
  }
}

typealias Vector = vector_f

/// Floats of a register.
@inline(__always) var vectorWidth: Int { Int(LANES_WIDTH) }
/// Registers of sixteen lanes.
@inline(__always) var parts: Int { laneCount / vectorWidth }

/// Sets whole vectors of sixteen lanes to zero.
@inline(__always)
func clear(_ floats: Floats, count: Int) {
  var i = 0
  while i < count {
    lanes_store(floats + i, lanes_splat(0))
    i &+= laneCount
  }
}
