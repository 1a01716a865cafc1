internal import CProcessor
package import KernelInterface

#if canImport(Glibc)
  internal import Glibc
#endif
#if arch(x86_64)
  internal import KernelsV2
  internal import KernelsV3
  internal import KernelsV4
#else
  internal import KernelsBase
#endif

/// What the kernels use of the processor: chosen once, when the program starts.
public enum ProcessorLevel: Int, CaseIterable, Comparable, Sendable {
  /// An architecture without levels.
  case base = 0
  /// x86-64-v2: vectors of four floats, a product and a sum rounded each.
  case v2 = 2
  /// x86-64-v3: AVX2 and fused multiply-add, vectors of eight.
  case v3 = 3
  /// x86-64-v4: AVX-512, vectors of sixteen.
  case v4 = 4

  /// The environment variable that holds the kernels to a lower level.
  public static let variable = "MOE_DIST_LEVEL"

  /// As the variable and the documents name it.
  public var name: String { self == .base ? "base" : "v\(rawValue)" }

  /// What it stands for, e.g. `v3 (AVX2, FMA)`.
  public var words: String {
    switch self {
    case .base: "base"
    case .v2: "v2 (SSE4.2)"
    case .v3: "v3 (AVX2, FMA)"
    case .v4: "v4 (AVX-512)"
    }
  }

  public static func < (a: ProcessorLevel, b: ProcessorLevel) -> Bool { a.rawValue < b.rawValue }

  /// The highest level that processor and operating system offer; nil for an x86-64 before v2.
  public static var available: ProcessorLevel? {
    let level = Int(processor_level())
    return level == 1 ? nil : ProcessorLevel(rawValue: level)
  }

  /// The kernels that were compiled for a level.
  package var implementation: any KernelLevel.Type {
    #if arch(x86_64)
      switch self {
      case .base, .v2: KernelsV2.Kernels.self
      case .v3: KernelsV3.Kernels.self
      case .v4: KernelsV4.Kernels.self
      }
    #else
      KernelsBase.Kernels.self
    #endif
  }

  /// The levels that this program has kernels of, ascending.
  public static var builtIn: [ProcessorLevel] {
    #if arch(x86_64)
      [.v2, .v3, .v4]
    #else
      [.base]
    #endif
  }

  /// The levels that this program has kernels of and this processor can run, ascending.
  package static var runnable: [ProcessorLevel] {
    available.map { offered(by: $0) } ?? []
  }

  /// The levels that a processor of the given one can run, ascending.
  private static func offered(by available: ProcessorLevel) -> [ProcessorLevel] {
    allCases.filter { ($0 == .base) == (available == .base) && $0 <= available }
  }

  /// The level in use.
  public static var current: ProcessorLevel { choice.level }

  /// Why the program cannot compute here; nil where it can. To be asked before anything is computed.
  public static var objection: String? { choice.objection }

  fileprivate static let choice = choose(
    available: available, wanted: getenv(variable).map { String(cString: $0) })

  /// The level that follows from what there is and what is wanted, or why there is none.
  package static func choose(
    available: ProcessorLevel?, wanted: String?
  ) -> (level: ProcessorLevel, objection: String?) {
    guard let available else {
      return (
        .v2,
        "this processor is older than x86-64-v2 (SSE4.2), for which the kernels are made; use one from 2009 or later"
      )
    }
    var level = available
    if let wanted, !wanted.isEmpty {
      guard let found = allCases.first(where: { $0.name == wanted }) else {
        let names = offered(by: available).map(\.name).joined(separator: ", ")
        return (
          available,
          "\(variable) is '\(wanted)'; it takes \(names), or nothing for the highest"
        )
      }
      guard offered(by: available).contains(found) else {
        return (
          available,
          "\(variable) asks for \(found.words), but processor and operating system offer \(available.words)"
        )
      }
      level = found
    }
    if level.implementation.level != level.rawValue {
      return (
        level,
        "the kernels of level \(level.name) were compiled for level \(level.implementation.level): a flag for the whole "
          + "build, such as -Xcc -march, has overridden theirs; build without it"
      )
    }
    return (level, nil)
  }
}

/// The kernels of the level in use.
package let kernels: any KernelLevel.Type = ProcessorLevel.choice.level.implementation
