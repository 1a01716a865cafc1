internal import Files
internal import Glibc

/// Stands in for a lock on a file system that has none: a file `owner` that only one process can make, with its host and
/// process number.
final class OwnerFile {
  private let path: String

  /// Takes hold of a run directory. A file of a process of this host that is gone is taken over.
  ///
  /// - Throws: ``Failure`` with the exit code for what cannot be made where another process may hold it.
  init(in directory: String) throws(Failure) {
    path = directory + "/" + Self.name
    for _ in 0..<2 {
      var problem: SystemError?
      do throws(Failure) {
        let file = try CheckedFile.creating(path) {
          problem = $0
          return $0.making(path)
        }
        try file.write("\(Self.host) \(getpid())\n")
        return
      } catch {
        guard problem?.number == EEXIST else { throw error }
      }
      guard let owner = try Self.owner(of: directory) else { continue }
      guard owner.host == Self.host, !Self.isAlive(owner.process) else {
        throw Self.taken(directory, by: "process \(owner.process) on host \(owner.host)", remove: path)
      }
      unlink(path)
    }
    throw Self.taken(directory, by: "another process", remove: path)
  }

  deinit { unlink(path) }

  /// Whether an error of flock says that the file system has no locks, as Lustre and others may be mounted.
  static func isForLack(_ error: SystemError) -> Bool {
    [ENOSYS, ENOLCK, EOPNOTSUPP].contains(error.number)
  }

  var note: String {
    "the file system has no locks; \(path) says that this process writes the run"
  }

  static func taken(_ directory: String, by whom: String, remove path: String? = nil) -> Failure {
    Failure(
      .cannotCreate,
      "cannot use run directory \(directory): \(whom) is writing this run; wait for it or end it"
        + (path.map { ", or remove \($0) where it is gone" } ?? ""))
  }

  /// Whether a process that may live says that it writes the run.
  static func isHeld(_ directory: String) -> Bool {
    guard let owner = try? owner(of: directory) else { return false }
    return owner.host != host || isAlive(owner.process)
  }

  private static let name = "owner"

  private static func owner(of directory: String) throws(Failure) -> (host: String, process: Int32)? {
    guard let bytes = try SafeFile.read(directory + "/" + name, limit: 4096, followingLinks: false) else {
      return nil
    }
    let words = String(decoding: bytes, as: UTF8.self).split { $0.isWhitespace }
    guard words.count == 2, let process = Int32(words[1]) else { return ("?", 0) }
    return (String(words[0]), process)
  }

  private static func isAlive(_ process: Int32) -> Bool { kill(process, 0) == 0 || errno == EPERM }

  private static var host: String {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, 255)
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
