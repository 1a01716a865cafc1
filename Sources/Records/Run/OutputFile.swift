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
  private var descriptor: Int32

  /// Checks a path before anything is computed for it; what can be wrong alike on every rank.
  ///
  /// - Parameters:
  ///   - force: whether the user lets it replace a plain file.
  ///   - isOwn: whether a plain file that is there, of this content at its start, may be replaced without that.
  ///   - option: how the user named the path, for the message.
  /// - Throws: ``Failure`` with the exit code for what cannot be made.
  public static func check(
    _ path: String, force: Bool, option: String = "output", replacing isOwn: (([UInt8]) -> Bool)? = nil
  ) throws(Failure) {
    func refusal(_ what: String, _ advice: Message = "") -> Failure {
      Failure(.cannotCreate, "\(setting: option, path): \(what); choose another path\(advice)")
    }
    var status = stat()
    guard stat(path, &status) == 0 else {
      var link = stat()
      if lstat(path, &link) == 0 { throw refusal("is a link that leads nowhere") }
      let (parent, _) = pathParts(of: path)
      guard SafeFile.isDirectory(parent) else { throw refusal("there is no directory \(parent)") }
      if belongsToRun(path) { throw refusal("would be a file of the run itself") }
      return
    }
    if isThrough(path, status) { return }
    guard status.st_mode & S_IFMT == S_IFREG else { throw refusal("is a directory") }
    if belongsToRun(realPath(path) ?? path) { throw refusal("is a file of a run, which is never replaced") }
    if force { return }
    if let isOwn, let head = try SafeFile.head(path, bytes: 4096), isOwn(head) { return }
    throw refusal("exists already", ", or replace it with \(setting: "force")")
  }

  /// Begins to write; see ``check(_:force:option:replacing:)``, which comes before.
  ///
  /// - Throws: ``Failure`` with the exit code for what cannot be made.
  public init(_ path: String) throws(Failure) {
    self.path = path
    var status = stat()
    let exists = stat(path, &status) == 0
    target = exists ? realPath(path) ?? path : path
    if exists, Self.isThrough(path, status) {
      temporary = nil
      descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY)
    } else {
      let name = SafeFile.temporaryPath(for: target)
      temporary = name
      descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
    }
    guard descriptor >= 0 else {
      throw Failure(codeOfChange(), "cannot make \(path): \(SafeFile.errorText()); choose another place")
    }
  }

  deinit { abandon() }

  /// - Throws: ``Failure`` with the exit code for input and output, also where the device is full.
  public func write(_ text: String) throws(Failure) {
    try SafeFile.write(text, to: descriptor, path)
  }

  /// Puts a new file in its place.
  public func close() throws(Failure) {
    guard descriptor >= 0 else { return }
    if let temporary {
      guard fsync(descriptor) == 0, Glibc.close(descriptor) == 0, rename(temporary, target) == 0 else {
        let failure = Failure(.inputOutput, "cannot write \(path): \(SafeFile.errorText())")
        abandon()
        throw failure
      }
    } else {
      Glibc.close(descriptor)
    }
    descriptor = -1
  }

  /// Writes a whole text.
  public static func write(_ text: String, to path: String) throws(Failure) {
    let file = try OutputFile(path)
    try file.write(text)
    try file.close()
  }

  private func abandon() {
    guard descriptor >= 0 else { return }
    Glibc.close(descriptor)
    descriptor = -1
    if let temporary { unlink(temporary) }
  }

  /// Devices, pipes, sockets; and what the process was given open, whatever it is.
  private static func isThrough(_ path: String, _ status: stat) -> Bool {
    let kind = status.st_mode & S_IFMT
    if kind == S_IFREG || kind == S_IFDIR { return path.hasPrefix("/dev/") || path.hasPrefix("/proc/") }
    return true
  }

  /// Whether a path is that of a file that a run keeps, in a directory that is a run's.
  private static func belongsToRun(_ path: String) -> Bool {
    let (parent, name) = pathParts(of: path)
    if RunDirectory.exists(parent + "/run.json") || RunDirectory.exists(parent + "/config.yaml") {
      return RunDirectory.fileNames.contains(name) || CheckpointName(fileName: name) != nil
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
