public import Files

extension CheckpointDifference.Value {
  /// All digits of the bits, such as `0x3f000000`.
  public var hexadecimal: String {
    let digits = String(bits, radix: 16)
    return "0x" + String(repeating: "0", count: max(0, max(2, type.bits / 4) - digits.count)) + digits
  }

  /// The fewest digits that read back as the same value, and the bits: `0.1 (0x3dcccccd)`.
  public var text: String {
    switch type {
    case .float32: "\(Float(bitPattern: UInt32(truncatingIfNeeded: bits))) (\(hexadecimal))"
    case .float64: "\(Double(bitPattern: bits)) (\(hexadecimal))"
    default: hexadecimal
    }
  }
}

extension CheckpointDifference {
  /// A line per text and per tensor that differs, and a last one that counts them.
  ///
  /// - Parameter names: what the two files are called.
  public func text(_ names: (first: String, second: String)) -> String {
    guard !isEmpty else { return "equal: \(names.first) and \(names.second)\n" }
    return details(names) + "different: \(names.first) and \(names.second): \(counts)\n"
  }

  /// A line per text and per tensor that differs.
  func details(_ names: (first: String, second: String)) -> String {
    (texts.map { $0.text(names) } + tensors.map { $0.text(names) }).map { $0 + "\n" }.joined()
  }

  /// How many tensors and texts differ, in words.
  var counts: String {
    func words(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
    return "\(words(tensors.count, "tensor")), \(words(texts.count, "text")) of the metadata"
  }

  /// `equal`, and lists of what differs; numbers that are not finite are null, their bits are there.
  public var json: JSONValue {
    [
      "equal": .bool(isEmpty), "metadata": .array(texts.map(\.json)), "tensors": .array(tensors.map(\.json)),
    ]
  }
}

extension CheckpointDifference.Text {
  func text(_ names: (first: String, second: String)) -> String {
    func value(_ text: String?) -> String { text.map { quoted($0) } ?? "nothing" }
    return "metadata \(quoted(key)): \(value(first)) and \(value(second))"
  }

  var json: JSONValue { ["key": .string(key), "first": JSONValue(first), "second": JSONValue(second)] }
}

extension CheckpointDifference.Layout {
  var text: String { "\(type.rawValue) \(shape)" }
  var json: JSONValue {
    ["dtype": .string(type.rawValue), "shape": .array(shape.map { .integer($0) })]
  }
}

extension CheckpointDifference.Tensor {
  func text(_ names: (first: String, second: String)) -> String {
    guard let first else { return "\(name): only in \(names.second)" }
    guard let second else { return "\(name): only in \(names.first)" }
    guard let element else { return "\(name): \(first.text) and \(second.text)" }
    let most = largest.map { ", by at most \($0)" } ?? ""
    return "\(name) \(first.text): \(count) of \(elements) elements differ\(most); first \(element.text)"
  }

  var json: JSONValue {
    [
      "name": .string(name), "first": first?.json ?? .null, "second": second?.json ?? .null,
      "differing": .integer(count), "largest_difference": JSONValue(largest),
      "element": element?.json ?? .null,
    ]
  }
}

extension CheckpointDifference.Element {
  /// `[0, 17]: 0.5 (0x3f000000) and 0.25 (0x3e800000)`
  var text: String { "\(position): \(first.text) and \(second.text)" }

  var json: JSONValue {
    [
      "index": .integer(index), "position": .array(position.map { .integer($0) }), "first": first.json,
      "second": second.json,
    ]
  }
}

extension CheckpointDifference.Value {
  var json: JSONValue { ["value": JSONValue(number), "bits": .string(hexadecimal)] }
}
