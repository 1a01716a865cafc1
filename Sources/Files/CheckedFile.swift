internal import Glibc

/// A plain file by its descriptor: whole reads and writes at offsets, and every failure in one line that names the file.
///
/// Every file is opened here, by one rule. What a user names may be a link to a plain file; what lies in a run may not,
/// or a path would lead out of it. A directory, FIFO, socket or device is refused (65) and never waited for.
///
/// Closes on destruction; a writer calls ``close()`` itself, since some file systems report a full disk only then.
package struct CheckedFile: ~Copyable, Sendable {
  package let path: String
  private var descriptor: Int32

  deinit {
    if descriptor >= 0 { Glibc.close(descriptor) }
  }

  /// Opens a path as a plain file.
  ///
  /// - Parameters:
  ///   - flags: how, see open(2).
  ///   - failure: the failure of a path that cannot be opened for another reason than what stands there.
  private static func opening(
    _ path: String, _ flags: Int32, followingLinks: Bool, failure: (SystemError) -> Failure
  ) throws(Failure) -> CheckedFile {
    // Without O_NONBLOCK, opening a FIFO waits for somebody at its other end.
    let flags = flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (followingLinks ? 0 : O_NOFOLLOW)
    let descriptor = open(path, flags, 0o666)
    guard descriptor >= 0 else {
      let error = SystemError.last
      // A link that is not to be followed (ELOOP), a socket or a FIFO without a reader (ENXIO), a directory (EISDIR).
      if [ELOOP, ENXIO, EISDIR].contains(error.number),
        let kind = FileKind(at: path, followingLinks: followingLinks), kind != .plain
      {
        throw kind.failure(at: path, isOfRun: !followingLinks)
      }
      throw failure(error)
    }
    let file = CheckedFile(path: path, descriptor: descriptor)
    let kind = FileKind(try file.status())
    guard kind == .plain else { throw kind.failure(at: path, isOfRun: !followingLinks) }
    return file
  }

  /// Opens an existing plain file for reading.
  ///
  /// - Parameter followingLinks: Whether the last component may be a symbolic link.
  /// - Throws: ``Failure``: not there (66), not a plain file (65), not readable (74).
  package static func reading(_ path: String, followingLinks: Bool) throws(Failure) -> CheckedFile {
    try opening(path, O_RDONLY, followingLinks: followingLinks) { $0.opening(path) }
  }

  /// The same; nil where nothing is there.
  static func readingIfThere(_ path: String, followingLinks: Bool) throws(Failure) -> CheckedFile? {
    do { return try reading(path, followingLinks: followingLinks) } catch {
      guard error.code == .notFound else { throw error }
      return nil
    }
  }

  /// Opens an existing plain file of a run for writing.
  ///
  /// - Throws: ``Failure``: not a plain file (65), not writable (74).
  package static func writing(_ path: String) throws(Failure) -> CheckedFile {
    try opening(path, O_WRONLY, followingLinks: false) { $0.failure("cannot write \(path)") }
  }

  /// Opens a file of a run for writing at its end; it is made if it is not there.
  ///
  /// - Throws: ``Failure``: not a plain file (65), not writable (74).
  static func appending(_ path: String) throws(Failure) -> CheckedFile {
    try opening(path, O_WRONLY | O_CREAT | O_APPEND, followingLinks: false) {
      $0.failure("cannot append to \(path)")
    }
  }

  /// Opens a file of a run to lock it; it is made if it is not there.
  ///
  /// - Throws: ``Failure``: not a plain file (65), not to be made (73, 74).
  package static func locking(_ path: String) throws(Failure) -> CheckedFile {
    try opening(path, O_RDWR | O_CREAT, followingLinks: false) { $0.making(path) }
  }

  /// Makes a file that does not exist yet, for writing.
  ///
  /// - Parameter failure: of a file that cannot be made.
  /// - Throws: ``Failure``: it exists, or its place is wrong (73), the device is full or fails (74).
  package static func creating(
    _ path: String, failure: (SystemError) -> Failure
  ) throws(Failure) -> CheckedFile {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw failure(.last) }
    return CheckedFile(path: path, descriptor: descriptor)
  }

  /// Makes a file that does not exist yet, for writing.
  package static func creating(_ path: String) throws(Failure) -> CheckedFile {
    try creating(path) { $0.making(path) }
  }

  /// Opens what a user named for output, whatever it is: a device, or a FIFO, whose reader is waited for.
  ///
  /// - Throws: ``Failure`` where it cannot be opened (73, 74).
  package static func through(_ path: String) throws(Failure) -> CheckedFile {
    let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY)
    guard descriptor >= 0 else { throw SystemError.last.making(path) }
    return CheckedFile(path: path, descriptor: descriptor)
  }

  private func status() throws(Failure) -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw SystemError.last.failure("cannot read \(path)") }
    return status
  }

  /// Bytes of the file, now.
  package func size() throws(Failure) -> Int { Int(try status().st_size) }

  /// Fills the buffer from `offset`; a file that ends before is an error.
  package func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(Failure) {
    let done = try readSome(into: buffer, at: offset)
    guard done == buffer.count else {
      throw Failure(
        .badData,
        "\(path): expected \(buffer.count) bytes at byte \(offset), found the end of the file after \(done)")
    }
  }

  /// Reads from `offset` until the buffer is full or the file ends; returns the bytes read.
  package func readSome(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(Failure) -> Int {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      if count == 0 { break }
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw SystemError.last.failure("cannot read \(path) at byte \(offset + done)")
      }
    }
    return done
  }

  /// Bytes from `offset`.
  package func bytes(at offset: Int, count: Int) throws(Failure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withUnsafeMutableBufferPointer { (buffer) throws(Failure) in
      try read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
    }
    return bytes
  }

  /// Writes the whole buffer.
  ///
  /// - Parameter offset: where; nil: behind what was written before, or at the end of a file that grows.
  /// - Throws: ``Failure`` where the device is full or fails (74).
  package func write(_ buffer: UnsafeRawBufferPointer, at offset: Int? = nil) throws(Failure) {
    var done = 0
    while done < buffer.count {
      let (from, left) = (buffer.baseAddress! + done, buffer.count - done)
      let count =
        if let offset { pwrite(descriptor, from, left, off_t(offset + done)) } else {
          Glibc.write(descriptor, from, left)
        }
      if count > 0 {
        done += count
      } else if count == 0 {
        throw Failure(.inputOutput, "cannot write \(path): nothing was written")
      } else if errno != EINTR {
        throw SystemError.last.failure("cannot write \(path)")
      }
    }
  }

  package func write(_ bytes: [UInt8], at offset: Int? = nil) throws(Failure) {
    try bytes.withUnsafeBufferPointer { (bytes) throws(Failure) in
      try write(UnsafeRawBufferPointer(bytes), at: offset)
    }
  }

  package func write(_ text: String) throws(Failure) { try write(Array(text.utf8)) }

  /// Removes all of the content.
  package func empty() throws(Failure) {
    guard ftruncate(descriptor, 0) == 0 else { throw SystemError.last.failure("cannot write \(path)") }
  }

  /// Takes a lock that other processes respect, until the file is closed; does not wait.
  ///
  /// - Parameter isShared: whether others may have it at the same time.
  /// - Returns: why not; nil: it is taken.
  package func lock(isShared: Bool = false) -> SystemError? {
    flock(descriptor, (isShared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 ? nil : .last
  }

  /// Returns when the bytes are on the disk.
  package func synchronise() throws(Failure) {
    guard fsync(descriptor) == 0 else { throw SystemError.last.failure("cannot write \(path) to the disk") }
  }

  /// Closes the file and reports what only closing tells.
  package mutating func close() throws(Failure) {
    let descriptor = self.descriptor
    self.descriptor = -1
    guard Glibc.close(descriptor) == 0 || errno == EINTR else {
      throw SystemError.last.failure("cannot write \(path)")
    }
  }
}
