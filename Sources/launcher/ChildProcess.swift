import Files
import Foundation

/// A program that this one starts: no shell reads its words, and it reads nothing from the terminal.
struct ChildProcess {
  let process: pid_t

  /// - Parameters:
  ///   - words: the name under which it is started, then its arguments.
  ///   - hasOwnGroup: whether a terminal's signals pass it by.
  ///   - advice: what to do where it cannot be started, the end of the message.
  /// - Throws: `Failure(.notFound, …)` where it cannot be started.
  init(
    _ path: String, _ words: [String], environment: [String: String], hasOwnGroup: Bool, advice: String
  ) throws(Failure) {
    var attributes = posix_spawnattr_t()
    var files = posix_spawn_file_actions_t()
    posix_spawnattr_init(&attributes)
    posix_spawn_file_actions_init(&files)
    defer {
      posix_spawnattr_destroy(&attributes)
      posix_spawn_file_actions_destroy(&files)
    }
    // This process ignores these two; others shall begin as if started by hand.
    var defaults = sigset_t()
    sigemptyset(&defaults)
    sigaddset(&defaults, SIGPIPE)
    sigaddset(&defaults, SIGXFSZ)
    posix_spawnattr_setsigdefault(&attributes, &defaults)
    posix_spawnattr_setpgroup(&attributes, 0)
    let group = hasOwnGroup ? POSIX_SPAWN_SETPGROUP : 0
    posix_spawnattr_setflags(&attributes, Int16(group | POSIX_SPAWN_SETSIGDEF))
    // A group in the background that read the terminal would be suspended.
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    let variables = environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
    let words = words.map { strdup($0) } + [nil]
    defer { for word in variables + words { free(word) } }
    var process = pid_t()
    let error = posix_spawn(&process, path, &files, &attributes, words, variables)
    guard error == 0 else {
      throw Failure(.notFound, "cannot start \(path): \(SystemError(error).words); \(advice)")
    }
    self.process = process
  }

  /// Its exit code, 128 + n where signal n did it; nil: it runs.
  ///
  /// - Parameter waits: whether to return when it has ended.
  func exitCode(waits: Bool) -> Int32? {
    var status: Int32 = 0
    var ended = pid_t()
    repeat { ended = waitpid(process, &status, waits ? 0 : WNOHANG) } while ended < 0 && errno == EINTR
    guard ended == process else { return nil }
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
  }
}
