internal import Glibc

/// The cores of this host that a process may use.
package struct BoundCores: Equatable, Sendable {
  /// Those that it was bound to.
  package var bound: Int
  /// All that are in use.
  package var all: Int

  package init(bound: Int, all: Int) {
    self.bound = bound
    self.all = all
  }

  /// - Parameter status: `/proc/self/status`.
  /// - Returns: nil where it does not say.
  package init?(status: String, all: Int) {
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") }) else {
      return nil
    }
    let digits = line.dropFirst("Cpus_allowed:".count).compactMap(\.hexDigitValue)
    bound = digits.reduce(0) { $0 + $1.nonzeroBitCount }
    self.all = max(bound, all)
  }

  /// Of this process; nil where the system does not say.
  package static func now() -> BoundCores? {
    SafeFile.systemText("/proc/self/status").flatMap {
      BoundCores(status: $0, all: sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    }
  }

  /// What is to be said where mpirun bound a rank to fewer cores than it has threads; nil where there is nothing.
  package func advice(threads: Int) -> Message? {
    guard threads > bound, bound < all else { return nil }
    let cores = "\(bound) core\(bound == 1 ? "" : "s")"
    return
      "\(setting: "threads", threads), but rank 0 is bound to \(cores) of \(all), which its threads share; "
      + "start 'mpirun --bind-to none' or 'mpirun --map-by slot:PE=\(min(threads, all))'"
  }
}
