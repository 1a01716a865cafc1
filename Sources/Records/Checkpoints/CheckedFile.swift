internal import Files
import Glibc

/// A regular file by its descriptor: whole reads and writes at offsets, and every failure in one line that names the file.
///
/// Closes on destruction; a writer calls ``close()`` itself, since some file systems report a full disk only then.
struct CheckedFile: ~Copyable, Sendable {
  let path: String
  private var descriptor: Int32

  deinit {
    if descriptor >= 0 { Glibc.close(descriptor) }
  }

  /// Opens an existing regular file for reading.
  ///
  /// - Parameter followingLinks: Whether the last component may be a symbolic link.
  /// - Throws: ``Failure``: not there (66), not a regular file (65), not readable (74).
  static func reading(_ path: String, followingLinks: Bool) throws(Failure) -> CheckedFile {
    // Without O_NONBLOCK, opening a FIFO waits for a writer that may never come.
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (followingLinks ? 0 : O_NOFOLLOW))
    if descriptor < 0 {
      switch errno {
      case ENOENT, ENOTDIR: throw Failure(.notFound, "\(path): \(systemMessage())")
      case ELOOP: throw Failure(.badData, "\(path): expected a regular file, found a symbolic link")
      case ENXIO: throw Failure(.badData, "\(path): expected a regular file, found a special file")
      default: throw Failure(.inputOutput, "\(path): cannot be opened: \(systemMessage())")
      }
    }
    let file = CheckedFile(path: path, descriptor: descriptor)
    try file.checkIsRegular()
    return file
  }

  /// Makes a file that does not exist yet, for writing.
  static func creating(_ path: String) throws(Failure) -> CheckedFile {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw Failure(codeOfChange(), "\(path): cannot be made: \(systemMessage())")
    }
    return CheckedFile(path: path, descriptor: descriptor)
  }

  /// Opens an existing file for writing; it may also be a device such as /dev/full.
  static func writing(_ path: String) throws(Failure) -> CheckedFile {
    let descriptor = open(path, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure(.inputOutput, "\(path): cannot be opened for writing: \(systemMessage())")
    }
    return CheckedFile(path: path, descriptor: descriptor)
  }

  private func checkIsRegular() throws(Failure) {
    let kind: String
    switch try status().st_mode & S_IFMT {
    case S_IFREG: return
    case S_IFDIR: kind = "a directory"
    case S_IFIFO: kind = "a FIFO"
    default: kind = "a special file"
    }
    throw Failure(.badData, "\(path): expected a regular file, found \(kind)")
  }

  private func status() throws(Failure) -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Failure(.inputOutput, "\(path): \(systemMessage())") }
    return status
  }

  /// Bytes of the file, now.
  func size() throws(Failure) -> Int { Int(try status().st_size) }

  /// Fills the buffer from `offset`; a file that ends before is an error.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(Failure) {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      if count > 0 {
        done += count
      } else if count == 0 {
        throw Failure(
          .badData,
          "\(path): expected \(buffer.count) bytes at byte \(offset), found the end of the file after \(done)"
        )
      } else if errno != EINTR {
        throw Failure(.inputOutput, "\(path): reading at byte \(offset + done): \(systemMessage())")
      }
    }
  }

  /// Bytes from `offset`.
  func bytes(at offset: Int, count: Int) throws(Failure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withUnsafeMutableBufferPointer { (buffer) throws(Failure) in
      try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
    }
    return bytes
  }

  /// Writes the whole buffer at `offset`.
  func write(_ buffer: UnsafeRawBufferPointer, at offset: Int) throws(Failure) {
    var done = 0
    while done < buffer.count {
      let count = pwrite(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      if count > 0 {
        done += count
      } else if count == 0 || errno != EINTR {
        let reason = count == 0 ? "nothing was written" : systemMessage()
        throw Failure(.inputOutput, "\(path): writing at byte \(offset + done): \(reason)")
      }
    }
  }

  func write(_ bytes: [UInt8], at offset: Int) throws(Failure) {
    try bytes.withUnsafeBufferPointer { (bytes) throws(Failure) in
      try write(UnsafeRawBufferPointer(bytes), at: offset)
    }
  }

  /// Returns when the bytes are on the disk.
  func synchronise() throws(Failure) {
    guard fsync(descriptor) == 0 else {
      throw Failure(.inputOutput, "\(path): fsync: \(systemMessage()); the disk may be full")
    }
  }

  /// Closes the file and reports what only closing tells.
  mutating func close() throws(Failure) {
    let descriptor = self.descriptor
    self.descriptor = -1
    guard Glibc.close(descriptor) == 0 || errno == EINTR else {
      throw Failure(.inputOutput, "\(path): closing: \(systemMessage())")
    }
  }
}

/// The code for a name that could not be made or removed: by an error of the disk, or because it may not be.
func codeOfChange() -> ExitCode { [ENOSPC, EDQUOT, EIO].contains(errno) ? .inputOutput : .cannotCreate }

/// The system's words for the error of the last call.
func systemMessage() -> String { String(cString: strerror(errno)) }

/// Operations on names in one directory.
enum CheckedDirectory {
  /// Makes the names that were made, replaced or removed in a directory last beyond a power cut.
  static func synchronise(_ path: String) throws(Failure) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(.inputOutput, "\(path): \(systemMessage())") }
    defer { close(descriptor) }
    // Some network file systems have no fsync for directories and say EINVAL.
    guard fsync(descriptor) == 0 || errno == EINVAL else {
      throw Failure(.inputOutput, "\(path): fsync: \(systemMessage())")
    }
  }

  /// Removes a name that may be absent; what is not a file stays and is an error.
  static func remove(_ path: String) throws(Failure) {
    guard unlink(path) == 0 || errno == ENOENT else {
      throw Failure(codeOfChange(), "\(path): cannot be removed: \(systemMessage())")
    }
  }

  /// Gives a complete file its final name, replacing a file of that name.
  static func rename(_ old: String, to new: String) throws(Failure) {
    guard Glibc.rename(old, new) == 0 else {
      throw Failure(.inputOutput, "\(new): cannot be renamed from \(old): \(systemMessage())")
    }
  }

  /// The names in a directory in ascending order, with whether each is a regular file itself.
  static func names(_ path: String) throws(Failure) -> [(name: String, isRegular: Bool)] {
    guard let directory = opendir(path) else {
      throw Failure(errno == ENOENT ? .notFound : .inputOutput, "\(path): \(systemMessage())")
    }
    defer { closedir(directory) }
    var names: [(name: String, isRegular: Bool)] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: entry.pointee.d_name))
        {
          String(cString: $0)
        }
      }
      var status = stat()
      let isRegular = lstat(path + "/" + name, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
      names.append((name, isRegular))
    }
    return names.sorted { $0.name < $1.name }
  }
}
