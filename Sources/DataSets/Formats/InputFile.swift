internal import Files
import Glibc

/// A regular file, open for reading.
///
/// Errors are `Failure`s in one line that names the file: not found or not readable (66), not a regular file (65),
/// a failing read (74).
struct InputFile: ~Copyable {
  let path: String
  /// Bytes, when the file was opened.
  let size: Int
  private let descriptor: Int32

  init(path: String) throws(Failure) {
    // Without O_NONBLOCK, opening a FIFO waits for a writer that may never come.
    let descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure(.notFound, "\(path): cannot be opened: \(String(cString: strerror(errno)))")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let reason = String(cString: strerror(errno))
      close(descriptor)
      throw Failure(.inputOutput, "\(path): \(reason)")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      let kind =
        switch status.st_mode & S_IFMT {
        case S_IFDIR: "a directory"
        case S_IFIFO: "a FIFO"
        default: "a special file"
        }
      throw Failure(.badData, "\(path): expected a regular file, found \(kind)")
    }
    self.path = path
    self.size = Int(status.st_size)
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Reads from an offset until the buffer is full or the file ends; returns the bytes read.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(Failure) -> Int {
    var done = 0
    while done < buffer.count {
      let got = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      if got == 0 { break }
      if got < 0 {
        if errno == EINTR { continue }
        throw Failure(
          .inputOutput, "\(path): reading at byte \(offset + done): \(String(cString: strerror(errno)))")
      }
      done += got
    }
    return done
  }
}
