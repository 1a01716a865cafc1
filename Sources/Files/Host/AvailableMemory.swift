internal import Glibc

/// What memory a process may still take, as Linux says it in files of text.
package struct AvailableMemory: Equatable, Sendable {
  /// Bytes that are left, and what sets the limit.
  package struct Room: Equatable, Sendable {
    package var bytes: Int
    package var words: String

    package init(bytes: Int, words: String) {
      self.bytes = bytes
      self.words = words
    }
  }

  /// Of the address space of this process alone; nil: no limit.
  package private(set) var ofProcess: Room?
  /// Of its control group, which other processes may share; nil: no limit.
  package private(set) var ofGroup: Room?
  /// The control group, by the directory that limits it; empty without a limit.
  package private(set) var group = ""
  /// Of the host; nil where it is not told.
  package private(set) var ofHost: Room?
  /// Bytes of address space that a thread's stack takes.
  package private(set) var stack: Int

  /// - Parameter read: the content of a file by its path; nil where there is none.
  package init(read: (String) -> String?) {
    let limits = read("/proc/self/limits") ?? ""
    let status = read("/proc/self/status") ?? ""
    stack = Self.limit("Max stack size", in: limits) ?? 8 << 20
    ofProcess = Self.least([
      Self.room("Max address space", limits, "VmSize:", status, "the limit of address space, ulimit -v"),
      Self.room("Max data size", limits, "VmData:", status, "the limit of data, ulimit -d"),
    ])
    for line in (read("/proc/self/cgroup") ?? "").split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard parts.count == 3 else { continue }
      let path = String(parts[2])
      if parts[1].isEmpty {
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
          look(for: path, below: root, "memory.max", "memory.current", "inactive_file", read)
        }
      } else if parts[1].split(separator: ",").contains("memory") {
        look(
          for: path, below: "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
          "total_inactive_file", read)
      }
    }
    ofHost = Self.kilobytes("MemAvailable:", in: read("/proc/meminfo") ?? "").map {
      Room(bytes: $0, words: "memory that is available on the host")
    }
  }

  /// Bytes of address space that threads beside the first take for themselves: a stack each, and a heap of glibc's malloc,
  /// which has at most eight heaps per core and keeps 64 MiB of addresses for each.
  package func reserved(threads: Int) -> Int {
    let heaps = min(threads, 8 * max(sysconf(Int32(_SC_NPROCESSORS_ONLN)), 1))
    return threads * stack + heaps * (64 << 20)
  }

  /// Of this process, now.
  package static func now() -> AvailableMemory { AvailableMemory(read: SafeFile.systemText) }

  // MARK: - Control groups

  /// The tightest limit of a group and of all that it is in. In a container the path may be that of the host, where the
  /// root stands for it.
  private mutating func look(
    for path: String, below root: String, _ most: String, _ used: String, _ cache: String,
    _ read: (String) -> String?
  ) {
    var names = path.split(separator: "/").map(String.init)
    while true {
      let directory = ([root] + names).joined(separator: "/")
      // No limit is `max`, or a number larger than any memory.
      if let limit = read("\(directory)/\(most)").flatMap(Self.number), limit < 1 << 60,
        let taken = read("\(directory)/\(used)").flatMap(Self.number)
      {
        // Pages of files that nobody uses now are given back first.
        let given = Self.number(after: cache + " ", in: read("\(directory)/memory.stat") ?? "")
        let left = max(limit - max(taken - (given ?? 0), 0), 0)
        if left < ofGroup?.bytes ?? .max {
          ofGroup = Room(bytes: left, words: "the limit of the control group (container or job)")
          group = directory
        }
      }
      guard !names.isEmpty else { return }
      names.removeLast()
    }
  }

  // MARK: - Texts

  private static func room(
    _ name: String, _ limits: String, _ field: String, _ status: String, _ words: String
  ) -> Room? {
    guard let limit = limit(name, in: limits) else { return nil }
    return Room(bytes: max(limit - (kilobytes(field, in: status) ?? 0), 0), words: words)
  }

  private static func least(_ rooms: [Room?]) -> Room? {
    rooms.compactMap { $0 }.min { $0.bytes < $1.bytes }
  }

  /// The soft limit of a line of `/proc/self/limits`; nil: unlimited, or not there.
  private static func limit(_ name: String, in limits: String) -> Int? {
    number(after: name + " ", in: limits)
  }

  /// Bytes of a line `Name:   12 kB`.
  private static func kilobytes(_ name: String, in text: String) -> Int? {
    guard let count = number(after: name, in: text), count < 1 << 50 else { return nil }
    return count * 1024
  }

  /// The first word of the rest of the line that begins so, as a number.
  private static func number(after name: String, in text: String) -> Int? {
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return nil }
    return number(String(line.dropFirst(name.count)))
  }

  private static func number(_ text: String) -> Int? {
    text.split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) }
  }
}
