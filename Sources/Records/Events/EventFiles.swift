package import Files
internal import Glibc

/// The event files of a run directory for TensorBoard: one per process that wrote the run, in the order of their names.
package struct EventFiles {
  private static let prefix = "events.out.tfevents."
  /// More experts have no scalar each: only their smallest and largest share.
  package static let mostShares = 64

  private let path: String

  /// Whether a file of a run is one of them.
  package static func isOne(_ name: String) -> Bool { name.hasPrefix(prefix) }

  /// The names in a run, in the order in which TensorBoard reads them.
  package static func names(in directory: String) throws(Failure) -> [String] {
    try CheckedDirectory.names(directory).map(\.name).filter {
      isOne($0) && !$0.contains(SafeFile.temporaryMark)
    }
  }

  /// Begins a file behind those that are there.
  ///
  /// - Parameter step: the steps that are done. What is shown of later ones is gone, also for whoever looks on.
  package init(in directory: String, host: String, after step: Int) throws(Failure) {
    let now = Self.now()
    let last = try Self.names(in: directory).compactMap { Int($0.dropFirst(Self.prefix.count).prefix(10)) }
    let seconds = max(Int(now), (last.max() ?? 0) + 1)
    // A host's name is nobody's path.
    let plain = String(
      host.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-_".contains($0)) ? $0 : "-" })
    path = "\(directory)/\(Self.prefix)\(seconds).\(plain.prefix(60))"
    try append([
      TensorBoardEvent(time: now, step: 0, .version), TensorBoardEvent(time: now, step: step + 1, .start),
    ])
  }

  private func append(_ events: [TensorBoardEvent]) throws(Failure) {
    // In one call, so that a process that is killed leaves all of them or none.
    try SafeFile.append(path, events.flatMap(\.record))
  }

  /// Adds the figures of lines of `metrics.jsonl`.
  package func append(_ records: [MetricsRecord]) throws(Failure) {
    let now = Self.now()
    try append(
      records.map { record in
        TensorBoardEvent(
          time: now, step: record.step,
          .summary(record.scalars.map { .init("\(record.split)/\($0.tag)", .scalar(Float($0.value))) }))
      })
  }

  /// Adds a picture of a split.
  ///
  /// - Parameters:
  ///   - file: a PNG file.
  ///   - size: in pixels.
  package func append(
    picture file: [UInt8], size: (width: Int, height: Int), channels: Int, named name: String, split: String,
    step: Int
  ) throws(Failure) {
    let image = TensorBoardEvent.Value.Figure.image(
      file: file, width: size.width, height: size.height, channels: channels)
    try append([
      TensorBoardEvent(time: Self.now(), step: step, .summary([.init("\(split)/\(name)", image)]))
    ])
  }

  /// Removes what came after a step, as ``RunDirectory/truncateMetrics(toStep:)`` does with the lines, and a last record
  /// that a process did not finish.
  package static func truncate(in directory: String, toStep step: Int) throws(Failure) {
    for name in try names(in: directory) {
      let file = "\(directory)/\(name)"
      guard let bytes = try SafeFile.read(file, limit: 1 << 30, followingLinks: false) else { continue }
      let kept = TensorBoardEvent.records(of: bytes).filter {
        $0.isVersion || ($0.step <= step && $0.tag?.hasPrefix("test/") != true)
      }
      if kept.allSatisfy(\.isVersion) {
        try CheckedDirectory.remove(file)
      } else if kept.reduce(0, { $0 + $1.bytes.count }) != bytes.count {
        try SafeFile.replace(file, kept.flatMap(\.bytes))
      }
    }
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}

extension MetricsRecord {
  /// The numbers of the line by their keys; those of the second layer's gate and further ones below `layer_2` and so on.
  var scalars: [(tag: String, value: Double)] {
    guard case .object(let members) = json else { return [] }
    var scalars: [(tag: String, value: Double)] = []
    func add(_ members: [JSONValue.Member], below scope: String) {
      for member in members where !["step", "split", "layer"].contains(member.key) {
        if let number = member.value.numberValue {
          if number.isFinite { scalars.append((scope + member.key, number)) }
        } else if case .array(let shares) = member.value, member.key == "expert_share" {
          let shares = shares.compactMap(\.numberValue)
          if shares.count > EventFiles.mostShares {
            scalars += [
              (scope + "expert_share_smallest", shares.min() ?? 0),
              (scope + "expert_share_largest", shares.max() ?? 0),
            ]
          } else {
            scalars += shares.enumerated().map { ("\(scope)expert_share/\($0)", $1) }
          }
        }
      }
    }
    add(members, below: "")
    for (index, layer) in layers.enumerated().dropFirst() {
      guard case .object(let members) = layer.json else { continue }
      add(members, below: "layer_\(index + 1)/")
    }
    return scalars
  }
}
