import Files
import Foundation
import TestSupport
import Testing

/// What may stand at a path, and what the system's errors mean.
struct CheckedFileTests {
  /// Makes everything that is no plain file, by what it is called.
  private func specialFiles(in scratch: TemporaryDirectory) throws -> [(path: String, kind: FileKind)] {
    let target = try scratch.write([1, 2, 3], to: "target")
    #expect(mkfifo(scratch.path + "/fifo", 0o600) == 0)
    #expect(mkdir(scratch.path + "/directory", 0o700) == 0)
    #expect(symlink(target, scratch.path + "/link") == 0)
    let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(socket) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    // A path of a socket is short, so it is made by a link to the directory.
    let short = "/tmp/md-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    #expect(symlink(scratch.path, short) == 0)
    defer { unlink(short) }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array((short + "/socket").utf8)) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    #expect(bound == 0)
    return [
      (scratch.path + "/fifo", .fifo), (scratch.path + "/directory", .directory),
      (scratch.path + "/link", .link),
      (scratch.path + "/socket", .socket), ("/dev/null", .device),
    ]
  }

  @Test func onlyPlainFilesOfARunAreOpened() throws {
    let scratch = TemporaryDirectory()
    for (path, kind) in try specialFiles(in: scratch) {
      #expect(FileKind(at: path, followingLinks: false) == kind)
      let openings: [() throws -> Void] = [
        { _ = try CheckedFile.reading(path, followingLinks: false) },
        { _ = try CheckedFile.writing(path) },
        { _ = try CheckedFile.locking(path) },
        { try SafeFile.append(path, "x") },
        { try SafeFile.replace(path, "x") },
        { _ = try SafeFile.read(path, limit: 10, followingLinks: false) },
      ]
      for opening in openings {
        let (found, seconds) = failure { try opening() }
        #expect(found?.code == .badData && seconds < 1)
        #expect(
          found?.message.hasPrefix("\(path): expected a plain file, found \(kind.rawValue); remove it")
            == true)
      }
      #expect(FileKind(at: path, followingLinks: false) == kind)
    }
    #expect(try scratch.read("target") == [1, 2, 3])
  }

  @Test func whatAUserNamesMayBeALink() throws {
    let scratch = TemporaryDirectory()
    for (path, kind) in try specialFiles(in: scratch) {
      let (found, seconds) = failure { _ = try SafeFile.read(path, limit: 10, followingLinks: true) }
      #expect(seconds < 1)
      if kind == .link {
        #expect(try SafeFile.read(path, limit: 10, followingLinks: true) == [1, 2, 3])
      } else {
        #expect(found?.message == "\(path): expected a plain file, found \(kind.rawValue); name a file")
      }
    }
    // A ring of links leads nowhere.
    #expect(symlink(scratch.path + "/ring", scratch.path + "/ring") == 0)
    #expect(try SafeFile.read(scratch.path + "/ring", limit: 10, followingLinks: true) == nil)
    #expect(try SafeFile.read(scratch.path + "/none", limit: 10, followingLinks: true) == nil)
  }

  @Test func aFileLargerThanItMayBeIsNotRead() throws {
    let scratch = TemporaryDirectory()
    let path = try scratch.write([1, 2, 3], to: "file")
    #expect(try SafeFile.read(path, limit: 3, followingLinks: false) == [1, 2, 3])
    #expect(thrownFailure { _ = try SafeFile.read(path, limit: 2, followingLinks: false) }?.code == .badData)
    // Without its size being read: a sparse file of a terabyte.
    #expect(truncate(path, 1 << 40) == 0)
    let (found, seconds) = failure { _ = try SafeFile.read(path, limit: 1 << 30, followingLinks: false) }
    #expect(found?.code == .badData && seconds < 1)
  }

  /// A full disk, a used up quota, a limit on sizes and a broken device are one kind of error, whatever was being done.
  @Test(arguments: [
    (ENOSPC, "No space left on device; free some space and resume"),
    (EDQUOT, "Disk quota exceeded; free some of your quota and resume"),
    (EFBIG, "File too large; raise the limit on the size of files (ulimit -f) and resume"),
    (EIO, "Input/output error; the device fails, use another"),
  ]) func errorsOfADevice(number: Int32, words: String) {
    let error = SystemError(number)
    #expect(error.isOfDevice && !error.isAbsence)
    for failure in [error.failure("cannot write a"), error.making("a"), error.opening("a")] {
      #expect(failure.code == .inputOutput)
      #expect(failure.message.hasSuffix(": " + words))
    }
  }

  @Test(arguments: [ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP]) func namesThatStandForNothing(number: Int32) {
    #expect(SystemError(number).opening("a").code == .notFound)
  }

  @Test(arguments: [EACCES, EEXIST, ENOENT, ENOTDIR, EROFS, EPERM]) func placesThatAreWrong(number: Int32) {
    let error = SystemError(number)
    #expect(error.making("a").code == .cannotCreate)
    #expect(error.failure("cannot write a").code == .inputOutput)
    #expect(error.making("a", advice: "go away").message == "cannot make a: \(error.words); go away")
  }

  /// The system's own errors arrive as what they are.
  @Test func aFullDeviceIsAnErrorOfWriting() throws {
    let full = thrownFailure { try CheckedFile.through("/dev/full").write("x") }
    #expect(full?.code == .inputOutput)
    #expect(full?.message == "cannot write /dev/full: No space left on device; free some space and resume")
    let scratch = TemporaryDirectory()
    let there = try scratch.write([], to: "there")
    #expect(thrownFailure { _ = try CheckedFile.creating(there) }?.code == .cannotCreate)
    #expect(
      thrownFailure { _ = try CheckedFile.creating(scratch.path + "/none/file") }?.code == .cannotCreate)
    #expect(thrownFailure { _ = try CheckedDirectory.names(scratch.path + "/none") }?.code == .notFound)
    #expect(thrownFailure { _ = try CheckedDirectory.names(there) }?.code == .badData)
  }
}
