/// The name of a checkpoint: `checkpoint-EEEE-SSSSSSSS.safetensors`, completed epochs and steps.
///
/// Numbers are padded with zeros to four and eight digits and grow when larger. Ordered by progress.
public struct CheckpointName: Comparable, Hashable, Sendable {
  public let epochs: Int
  public let steps: Int

  public init(epochs: Int, steps: Int) {
    precondition(epochs >= 0 && steps >= 0, "progress is not negative")
    self.epochs = epochs
    self.steps = steps
  }

  /// Reads a file name; nil for anything that ``fileName`` does not give, character by character.
  public init?(fileName: String) {
    guard fileName.utf8.count <= 80, fileName.hasPrefix(Self.prefix), fileName.hasSuffix(Self.suffix) else {
      return nil
    }
    let parts = fileName.dropFirst(Self.prefix.count).dropLast(Self.suffix.count)
      .split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let epochs = Int(parts[0]), let steps = Int(parts[1]), epochs >= 0, steps >= 0
    else {
      return nil
    }
    self.init(epochs: epochs, steps: steps)
    // Int() reads "+7" and "00007", too.
    guard self.fileName == fileName else { return nil }
  }

  public var fileName: String {
    Self.prefix + Self.padded(epochs, digits: 4) + "-" + Self.padded(steps, digits: 8) + Self.suffix
  }

  public static func < (left: Self, right: Self) -> Bool {
    (left.epochs, left.steps) < (right.epochs, right.steps)
  }

  private static let prefix = "checkpoint-"
  private static let suffix = ".safetensors"

  private static func padded(_ number: Int, digits: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }
}
