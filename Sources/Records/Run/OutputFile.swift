public import Files
internal import Glibc

/// A file that a user named for output. It destroys nothing: devices and pipes are written through, a plain file that is
/// there stays unless the user says otherwise, and what belongs to a run stays always. A new file appears whole, at
/// ``close()``.
public final class OutputFile {
  public let path: String
  /// Where a plain file comes from: made beside it and renamed; nil where bytes go through.
  private let temporary: String?
  /// The file itself, links followed.
  private let target: String
  private var file: CheckedFile
  /// Whether it still has to be put in its place.
  private var isOpen = true

  /// Checks a path before anything is computed for it; what can be wrong alike on every rank.
  ///
  /// - Parameters:
  ///   - force: whether the user lets it replace a plain file; nil where a user cannot say so.
  ///   - isOwn: whether a plain file that is there, of this content at its start, may be replaced without that.
  ///   - option: how the user named the path, for the message.
  /// - Throws: ``Failure`` with the exit code for what cannot be made.
  public static func check(
    _ path: String, force: Bool?, option: String = "output", replacing isOwn: (([UInt8]) -> Bool)? = nil
  ) throws(Failure) {
    func refusal(_ what: String, _ advice: Message = "") -> Failure {
      Failure(.cannotCreate, "\(setting: option, path): \(what); choose another path\(advice)")
    }
    guard let kind = FileKind(at: path, followingLinks: true) else {
      if FileKind(at: path, followingLinks: false) != nil { throw refusal("is a link that leads nowhere") }
      let (parent, _) = pathParts(of: path)
      guard SafeFile.isDirectory(parent) else { throw refusal("there is no directory \(parent)") }
      if belongsToRun(path) { throw refusal("would be a file of the run itself") }
      return
    }
    if isThrough(path, kind) { return }
    guard kind == .plain else { throw refusal("is a directory") }
    if belongsToRun(realPath(path) ?? path) { throw refusal("is a file of a run, which is never replaced") }
    if force == true { return }
    if let isOwn, let head = try SafeFile.head(path, bytes: 4096), isOwn(head) { return }
    throw refusal("exists already", force == nil ? "" : ", or replace it with \(setting: "force")")
  }

  /// Begins to write; see ``check(_:force:option:replacing:)``, which comes before.
  ///
  /// - Throws: ``Failure`` with the exit code for what cannot be made.
  public init(_ path: String) throws(Failure) {
    self.path = path
    let kind = FileKind(at: path, followingLinks: true)
    if let kind, Self.isThrough(path, kind) {
      target = path
      temporary = nil
      file = try CheckedFile.through(path)
    } else {
      target = kind == nil ? path : realPath(path) ?? path
      let name = SafeFile.temporaryPath(for: target)
      file = try CheckedFile.creating(name) { $0.making(path) }
      temporary = name
    }
  }

  deinit { if let temporary, isOpen { unlink(temporary) } }

  /// - Throws: ``Failure`` with the exit code for input and output, also where the device is full.
  public func write(_ text: String) throws(Failure) {
    try file.write(text)
  }

  /// - Throws: as for a text.
  package func write(_ bytes: [UInt8]) throws(Failure) {
    try file.write(bytes)
  }

  /// Puts a new file in its place.
  public func close() throws(Failure) {
    guard isOpen else { return }
    if temporary != nil { try file.synchronise() }
    try file.close()
    if let temporary, rename(temporary, target) != 0 {
      throw SystemError.last.failure("cannot write \(path)")
    }
    isOpen = false
  }

  /// Writes a whole text.
  public static func write(_ text: String, to path: String) throws(Failure) {
    let file = try OutputFile(path)
    try file.write(text)
    try file.close()
  }

  /// Devices, pipes, sockets; and what the process was given open, whatever it is.
  private static func isThrough(_ path: String, _ kind: FileKind) -> Bool {
    if kind == .plain || kind == .directory { return path.hasPrefix("/dev/") || path.hasPrefix("/proc/") }
    return true
  }

  /// Whether a path is that of a file that a run keeps, in a directory that is a run's.
  private static func belongsToRun(_ path: String) -> Bool {
    let (parent, name) = pathParts(of: path)
    if RunDirectory.exists(parent + "/run.json") || RunDirectory.exists(parent + "/config.yaml") {
      return RunDirectory.isOwn(name) || CheckpointName(fileName: name) != nil
    }
    let above = pathParts(of: parent)
    return above.name == "errors" && RunDirectory.exists(above.directory + "/run.json")
  }
}

/// The path without links; nil where there is nothing.
private func realPath(_ path: String) -> String? {
  guard let text = realpath(path, nil) else { return nil }
  defer { free(text) }
  return String(cString: text)
}
