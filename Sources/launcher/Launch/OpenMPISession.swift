import Files
import Foundation

/// What Open MPI keeps of a job on a host: a session directory, and segments of shared memory that an mpirun which is killed
/// leaves.
package struct OpenMPISession: Hashable {
  /// The session directory of the mpirun.
  package let directory: String
  /// How the names of the job's segments begin.
  package let segments: String

  /// The folder of the segments.
  static let memory = "/dev/shm"
  private static let segmentMark = "vader_segment."

  /// - Parameter rankEnvironment: what a rank was started with.
  /// - Returns: nil where it does not say which job it is, or names a place that no session has.
  package init?(rankEnvironment: [String: String]) {
    guard let directory = rankEnvironment["OMPI_MCA_orte_jobfam_session_dir"],
      let top = rankEnvironment["OMPI_MCA_orte_top_session_dir"], directory.hasPrefix(top + "/pid."),
      let number = rankEnvironment["OMPI_MCA_ess_base_jobid"].flatMap({ UInt32($0) })
    else { return nil }
    let parts = directory.split(separator: "/").suffix(2).map(String.init)
    guard parts.count == 2, parts[0].hasPrefix("ompi."), !directory.contains("/../"),
      pid_t(parts[1].dropFirst(4)) != nil
    else { return nil }
    self.directory = directory
    // vader_segment.<host>.<user>.<job in hexadecimal>.<rank on the host>, where the session's name has host and user.
    segments = Self.segmentMark + parts[0].dropFirst(5) + "." + String(number, radix: 16) + "."
  }

  /// Removes what is there. The job must be over.
  func removeFiles() {
    for name in Self.names(in: Self.memory) where name.hasPrefix(segments) {
      unlink("\(Self.memory)/\(name)")
    }
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Removes the session directory of an mpirun of this host that is gone, also where none of its ranks was ever seen.
  static func removeDirectory(ofMpirun process: pid_t, _ environment: [String: String]) {
    let base = environment["TMPDIR"] ?? "/tmp"
    let host = HostFacts.name.prefix { $0 != "." }
    for top in names(in: base) where top.hasPrefix("ompi.\(host).") && isOwn("\(base)/\(top)") {
      let directory = "\(base)/\(top)/pid.\(process)"
      if isOwn(directory) { try? FileManager.default.removeItem(atPath: directory) }
    }
  }

  /// Segments and session directories of this user whose processes are gone.
  ///
  /// A session is `pid.<number of mpirun>` on mpirun's host, and `jf.<job>` on the others, whose daemon and ranks have
  /// memory in it.
  package static func leftovers(_ environment: [String: String]) -> [String] {
    var inUse = ""
    for process in LocalProcess.all { inUse += SafeFile.systemText("/proc/\(process)/maps") ?? "" }
    let segments = names(in: memory).filter { $0.hasPrefix(segmentMark) }.map { "\(memory)/\($0)" }
      .filter { isOwn($0) && !inUse.contains($0) }
    let base = environment["TMPDIR"] ?? "/tmp"
    let sessions = names(in: base).filter { $0.hasPrefix("ompi.") }.flatMap { top in
      names(in: "\(base)/\(top)").filter { name in
        if name.hasPrefix("jf.") { return !inUse.contains("\(base)/\(top)/\(name)/") }
        guard name.hasPrefix("pid."), let process = pid_t(name.dropFirst(4)) else { return false }
        // One that has ended may be there as long as its parent does not ask for it.
        return LocalProcess(process)?.isAlive != true
      }.map { "\(base)/\(top)/\($0)" }
    }.filter(isOwn)
    return segments + sessions
  }

  private static func isOwn(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_uid == geteuid()
  }

  private static func names(in folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
  }
}
