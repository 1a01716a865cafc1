import DataSets
import Files
import Foundation

/// Downloads by the program curl, which is executed as it is: no shell reads an address.
///
/// curl has what a download needs: certificates, proxies (`https_proxy`, `.curlrc`), trying again, going on after a break.
struct Download {
  let environment: [String: String]

  /// Whether curl can be found.
  static func curl(_ environment: [String: String]) -> String? {
    (environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":").map { "\($0)/curl" }
      .first { access($0, X_OK) == 0 }
  }

  /// Fetches a file, or the rest of it where the beginning is at the path already.
  ///
  /// - Parameters:
  ///   - isOpen: whether addresses without encryption are allowed, where the user named one.
  /// - Throws: `Failure`: `.notFound` for what cannot be reached, `.inputOutput` for a disk that is full.
  func run(_ address: String, to path: String, isOpen: Bool) throws(Failure) {
    guard let curl = Self.curl(environment) else {
      throw Failure(
        .notFound, "the program curl was not found; install it (apt-get install curl), or give --mirror DIR")
    }
    let protocols = isOpen ? "=http,https" : "=https"
    let progress = isatty(STDERR_FILENO) == 1 ? ["--progress-bar"] : ["--silent"]
    let code = try spawn(
      curl,
      ["--proto", protocols, "--proto-redir", protocols, "--fail", "--location", "--retry", "3"]
        + ["--connect-timeout", "20", "--speed-limit", "1000", "--speed-time", "60", "--continue-at", "-"]
        + ["--output", path] + progress + ["--", address])
    switch code {
    case 0: return
    case 23: throw Failure(.inputOutput, "cannot write \(path): no space is left, or it may not be written")
    default:
      throw Failure(.notFound, "\(address): \(Self.reason(code))")
    }
  }

  /// Whether a server would not go on where a file ends: from the beginning it may work.
  static func isRefusedRange(_ failure: Failure) -> Bool { failure.message.hasSuffix(reason(33)) }

  private static func reason(_ code: Int32) -> String {
    switch code {
    case 5, 6:
      "no such host; is there a network? proxies are taken from https_proxy, and --mirror names another place"
    case 7: "nothing answers there; is there a network? proxies are taken from https_proxy"
    case 18, 56: "the connection broke; the same command goes on"
    case 22: "the server does not have it"
    case 28: "no answer in time; the same command goes on"
    case 33: "the server does not send the rest of a file"
    case 35, 51, 58, 60: "no secure connection; are certificates installed (apt-get install ca-certificates)?"
    case 1: "only https is allowed"
    case 128...: "curl was ended by signal \(code - 128)"
    default: "curl ended with code \(code)"
    }
  }

  private func spawn(_ program: String, _ arguments: [String]) throws(Failure) -> Int32 {
    var files = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&files)
    defer { posix_spawn_file_actions_destroy(&files) }
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    let variables = environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
    let words = (["curl"] + arguments).map { strdup($0) } + [nil]
    defer { for word in variables + words { free(word) } }
    var process = pid_t()
    let error = posix_spawn(&process, program, &files, nil, words, variables)
    guard error == 0 else {
      throw Failure(.notFound, "cannot start \(program): \(String(cString: strerror(error)))")
    }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
  }
}
