import Files
import Foundation

/// What launch has to know of the host that it runs on, and of others.
enum HostFacts {
  static var name: String { ProcessInfo.processInfo.hostName }

  /// Physical cores that this process may use: what Open MPI counts as slots. At least 1.
  static var cores: Int {
    let usual = max(ProcessInfo.processInfo.activeProcessorCount, 1)
    let lines = (SafeFile.systemText("/proc/self/status") ?? "").split(separator: "\n")
    guard let list = lines.first(where: { $0.hasPrefix("Cpus_allowed_list:") }) else { return usual }
    // Such as 0-3,8.
    var cores: Set<String> = []
    for range in list.dropFirst(18).split(separator: ",") {
      let ends = range.split(separator: "-").compactMap { Int($0.filter(\.isNumber)) }
      guard let first = ends.first, let last = ends.last, first <= last, last < 1 << 16 else { return usual }
      for number in first...last { cores.insert(core(of: number)) }
    }
    return max(cores.count, 1)
  }

  /// The core that a processor of the operating system is on. Without a topology it is one of its own.
  private static func core(of processor: Int) -> String {
    let folder = "/sys/devices/system/cpu/cpu\(processor)/topology/"
    guard let package = line(folder + "physical_package_id"), let core = line(folder + "core_id") else {
      return "processor \(processor)"
    }
    return "\(package) \(core)"
  }

  /// Whether this is inside a container, where root is nobody's superuser.
  static func isContainer(_ environment: [String: String]) -> Bool {
    if environment["container"] != nil { return true }
    let marks = ["/.dockerenv", "/run/.containerenv"]
    if marks.contains(where: { (path: String) in access(path, F_OK) == 0 }) { return true }
    let groups = SafeFile.systemText("/proc/1/cgroup") ?? ""
    return ["docker", "kubepods", "containerd", "/lxc"].contains { groups.contains($0) }
  }

  /// The program itself, as other processes find it.
  static var program: String {
    var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let length = readlink("/proc/self/exe", &path, Int(PATH_MAX))
    return length > 0
      ? String(decoding: path[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      : CommandLine.arguments[0]
  }

  /// The first file of a name in PATH that can be run.
  static func find(_ name: String, _ environment: [String: String]) -> String? {
    let folders = (environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
    return folders.map { "\($0)/\(name)" }.first { path in
      var status = stat()
      return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }
  }

  /// Whether a name is this host's.
  static func isHere(_ host: String) -> Bool {
    let plain = host.split(separator: "@").last.map(String.init) ?? host
    let short = { (name: String) in name.prefix { $0 != "." } }
    return ["localhost", "127.0.0.1", "::1"].contains(plain) || short(plain) == short(name)
  }

  /// Whether a host gives any sign of life: a refused connection is one.
  static func answers(_ host: String, within seconds: Int32 = 3) -> Bool {
    if isHere(host) { return true }
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    let plain = host.split(separator: "@").last.map(String.init) ?? host
    guard getaddrinfo(plain, "22", &hints, &found) == 0, let address = found else { return false }
    defer { freeaddrinfo(found) }
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(address.pointee.ai_family, type, 0)
    guard descriptor >= 0 else { return true }
    defer { close(descriptor) }
    if connect(descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen) == 0 || errno == ECONNREFUSED
    {
      return true
    }
    guard errno == EINPROGRESS else { return false }
    var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    guard poll(&waiting, 1, seconds * 1000) > 0 else { return false }
    var error: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size)
    return error == 0 || error == ECONNREFUSED
  }

  private static func line(_ path: String) -> String? {
    SafeFile.systemText(path)?.split(separator: "\n").first.map(String.init)
  }
}
