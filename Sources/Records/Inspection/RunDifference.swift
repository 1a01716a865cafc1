public import Files

/// Where two runs part: the first checkpoint of both that is not the same, and that the one before it was.
///
/// Checkpoints of the same epoch and step are compared, ascending, until two differ. What the runs were told (settings and
/// data) is no parting: two runs may have different settings and equal values for a while.
public struct RunDifference: Equatable, Sendable {
  /// The first checkpoint that differs.
  public struct Parting: Equatable, Sendable {
    public let name: CheckpointName
    /// In what it differs, without what the runs were told.
    public let difference: CheckpointDifference
  }

  /// What the runs were told differently, of the first checkpoint that both have.
  public let settings: [CheckpointDifference.Text]
  /// nil: all checkpoints that both have are equal.
  public let parting: Parting?
  /// The last checkpoint before ``parting`` that both have, and that is equal.
  public let equalBefore: CheckpointName?
  /// How many were compared.
  public let compared: Int

  public var isEmpty: Bool { settings.isEmpty && parting == nil }

  /// Compares two runs by their directories.
  ///
  /// - Throws: ``Failure`` where they have no checkpoint of the same epoch and step (66), and for a file that cannot be read.
  public init(_ first: CheckpointDirectory, _ second: CheckpointDirectory) throws(Failure) {
    let ofSecond = Set(try second.entries().map(\.name))
    let common = try first.entries().map(\.name).filter { ofSecond.contains($0) }
    var settings: [CheckpointDifference.Text] = []
    var equalBefore: CheckpointName?
    var parting: Parting?
    var compared = 0
    for name in common {
      // A run that is being written may have removed it.
      guard let one = try Self.ifThere(first, name), let other = try Self.ifThere(second, name) else {
        continue
      }
      let difference = try CheckpointDifference(one, other)
      if compared == 0 { settings = difference.texts.filter(Self.isTold) }
      compared += 1
      let grown = CheckpointDifference(
        texts: difference.texts.filter { !Self.isTold($0) }, tensors: difference.tensors)
      guard grown.isEmpty else {
        parting = Parting(name: name, difference: grown)
        break
      }
      equalBefore = name
    }
    guard compared > 0 else {
      throw Failure(
        .notFound,
        "\(first.path) and \(second.path) have no checkpoint of the same epoch and step; train both with \(setting: "keep") 0 and "
          + "the same \(setting: "checkpoint-every")")
    }
    self.settings = settings
    self.parting = parting
    self.equalBefore = equalBefore
    self.compared = compared
  }

  private static func ifThere(_ directory: CheckpointDirectory, _ name: CheckpointName) throws(Failure)
    -> CheckpointFile?
  {
    do { return try directory.open(name) } catch {
      guard error.code == .notFound else { throw error }
      return nil
    }
  }

  /// Whether a text says what a run was told, which is the same in all of its checkpoints.
  private static func isTold(_ text: CheckpointDifference.Text) -> Bool {
    let key = text.key.prefix { $0 != "." }
    return ["configuration", "data", "format", "teacher"].contains(key)
  }
}

extension RunDifference {
  /// Settings that differ, where the runs part, and what differs there.
  ///
  /// - Parameter names: what the two runs are called.
  public func text(_ names: (first: String, second: String)) -> String {
    let told = settings.map { $0.text(names) + "\n" }.joined()
    let checkpoints = "\(compared) checkpoint\(compared == 1 ? "" : "s")"
    guard let parting else {
      let verdict = settings.isEmpty ? "equal" : "different settings, equal values"
      return told + "\(verdict): \(names.first) and \(names.second), \(checkpoints) of both\n"
    }
    let before =
      equalBefore.map { "\($0.fileName), before it, is equal" }
      ?? "no checkpoint before it is in both"
    return told + parting.difference.details(names)
      + "different: \(names.first) and \(names.second) part at \(parting.name.fileName): \(parting.first); \(before)\n"
  }

  /// `equal`, `compared`, `settings`, `equal_before` and `parting`: epoch, step, and lists of what differs there, the first
  /// tensor and its first element at their beginning.
  public var json: JSONValue {
    [
      "equal": .bool(isEmpty), "compared": .integer(compared), "settings": .array(settings.map(\.json)),
      "equal_before": JSONValue(equalBefore?.fileName), "parting": parting?.json ?? .null,
    ]
  }
}

extension RunDifference.Parting {
  /// Epoch, step, and the first that differs there.
  fileprivate var first: String {
    var words = "epoch \(name.epochs), step \(name.steps), "
    if let tensor = difference.tensors.first {
      words += "first in \(tensor.name)" + (tensor.element.map { " \($0.text)" } ?? "")
    } else {
      words += "in the metadata alone"
    }
    return words
  }

  fileprivate var json: JSONValue {
    [
      "checkpoint": .string(name.fileName), "epoch": .integer(name.epochs), "step": .integer(name.steps),
      "metadata": .array(difference.texts.map(\.json)), "tensors": .array(difference.tensors.map(\.json)),
    ]
  }
}
