#if canImport(Glibc)
  internal import Glibc
#endif

/// Whether ranks of one host may read each other's memory.
///
/// Open MPI hands large messages over within a host by process_vm_readv (CMA). Linux refuses that to a process in a user
/// namespace of its own, as every rank of a rootless container has one, and a receiver then waits for ever.
package struct UserNamespace {
  /// Where a link leads, and the content of a file; nil where the system does not say.
  private let link: (String) -> String?
  private let text: (String) -> String?

  /// Open MPI's setting of the transport within a host.
  package static let setting = "OMPI_MCA_btl_vader_single_copy_mechanism"

  /// What starts ranks on a host, as the beginning of a process's name.
  private static let launchers = ["mpirun", "mpiexec", "orterun", "orted", "prte", "slurmstepd", "srun"]

  package init(link: @escaping (String) -> String?, text: @escaping (String) -> String?) {
    self.link = link
    self.text = text
  }

  /// Whether a process is in another user namespace than its launcher, and below it: the launcher's other ranks need not be
  /// where this one is.
  ///
  /// - Parameter parent: of the process, 0 where it is outside of what the process sees.
  package func isApart(parent: Int) -> Bool {
    guard let own = link("/proc/self/ns/user"), !isFirst else { return false }
    var process = parent
    // A loop that ends: numbers of parents are read while processes may come and go.
    for _ in 0..<64 {
      // The first process of a container, a namespace that may not be looked at, or another one.
      guard process > 0, link("/proc/\(process)/ns/user") == own else { return true }
      let status = text("/proc/\(process)/status") ?? ""
      if let name = field("Name:", of: status), Self.launchers.contains(where: { name.hasPrefix($0) }) {
        return false
      }
      process = field("PPid:", of: status).flatMap { Int($0) } ?? 0
    }
    return true
  }

  /// Whether it is the namespace that the system began with, in which all numbers of users are themselves.
  private var isFirst: Bool {
    let words = text("/proc/self/uid_map")?.split(whereSeparator: \.isWhitespace) ?? []
    return words.isEmpty || words == ["0", "0", "4294967295"]
  }

  private func field(_ name: String, of status: String) -> String? {
    status.split(separator: "\n").first { $0.hasPrefix(name) }
      .flatMap { $0.split(whereSeparator: \.isWhitespace).dropFirst().first }.map(String.init)
  }
}

extension UserNamespace {
  /// Of this process.
  private static var here: UserNamespace {
    UserNamespace(
      link: { path in
        var bytes = [CChar](repeating: 0, count: 256)
        let count = readlink(path, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      }, text: smallFile)
  }

  /// Has messages copied twice, through shared memory, where one copy would be refused; before MPI is entered. What the user
  /// has set stays.
  static func prepareTransport(_ environment: [String: String]) {
    guard environment[setting] == nil, here.isApart(parent: Int(getppid())) else { return }
    setenv(setting, "none", 0)
  }
}

/// A file of /proc, as far as 4096 bytes; nil where it cannot be read.
private func smallFile(_ path: String) -> String? {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var bytes = [UInt8](repeating: 0, count: 4096)
  let count = read(descriptor, &bytes, bytes.count)
  return count >= 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
}
