import Files
import Foundation

/// Downloads by the program curl, which is executed as it is: no shell reads an address.
///
/// curl has what a download needs: certificates, proxies (`https_proxy`, `.curlrc`), trying again, going on after a break.
struct Download {
  let environment: [String: String]

  /// Fetches a file, or the rest of it where the beginning is at the path already and the server sends parts.
  ///
  /// - Parameters:
  ///   - isOpen: whether addresses without encryption are allowed, where the user named one.
  /// - Throws: `Failure`: `.notFound` for what cannot be reached, `.inputOutput` for a disk that is full.
  func run(_ address: String, to path: String, isOpen: Bool) throws(Failure) {
    guard let curl = HostFacts.find("curl", environment) else {
      throw Failure(
        .notFound, "the program curl was not found; install it (apt-get install curl), or give --mirror DIR")
    }
    let protocols = isOpen ? "=http,https" : "=https"
    let progress = isatty(STDERR_FILENO) == 1 ? ["--progress-bar"] : ["--silent"]
    let words =
      ["curl", "--proto", protocols, "--proto-redir", protocols, "--fail", "--location", "--retry", "3"]
      + ["--connect-timeout", "20", "--speed-limit", "1000", "--speed-time", "60", "--continue-at", "-"]
      + ["--output", path] + progress + ["--", address]
    func fetched() throws(Failure) -> Int32 {
      let child = try ChildProcess(
        curl, words, environment: environment, hasOwnGroup: false, advice: "install curl anew")
      return child.exitCode(waits: true) ?? 1
    }
    var code = try fetched()
    // Where a server does not go on, the file is fetched from its beginning.
    if code == Self.rangeRefused, truncate(path, 0) == 0 { code = try fetched() }
    switch code {
    case 0: return
    case 23: throw Failure(.inputOutput, "cannot write \(path): no space is left, or it may not be written")
    default: throw Failure(.notFound, "\(address): \(Self.reason(code))")
    }
  }

  private static let rangeRefused: Int32 = 33

  private static func reason(_ code: Int32) -> String {
    switch code {
    case 5, 6:
      "no such host; is there a network? proxies are taken from https_proxy, and --mirror names another place"
    case 7: "nothing answers there; is there a network? proxies are taken from https_proxy"
    case 18, 56: "the connection broke; the same command goes on"
    case 22: "the server does not have it"
    case 28: "no answer in time; the same command goes on"
    case rangeRefused: "the server does not send the rest of a file"
    case 35, 51, 58, 60: "no secure connection; are certificates installed (apt-get install ca-certificates)?"
    case 1: "only https is allowed"
    case 128...: "curl was ended by signal \(code - 128)"
    default: "curl ended with code \(code)"
    }
  }

}
