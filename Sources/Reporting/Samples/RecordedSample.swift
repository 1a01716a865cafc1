internal import DataSets
internal import Files
internal import Foundation
internal import Records
internal import Training

/// What a run wrote of one image's way.
struct RecordedSample {
  /// Why it was chosen: `right`, `wrong` or `undecided`.
  let reason: String
  let sample: Int
  let label: Int
  let prediction: Int
  /// The most probable classes of the mixture.
  let top: [Answer]
  /// Of every mixture layer.
  let layers: [Layer]
  /// [E] the most probable classes of every expert, nil where it did not run; empty where experts answer hidden rows.
  let answers: [[Answer]?]
  /// A PNG file and its size in pixels; nil where no images were kept.
  let image: (file: [UInt8], width: Int, height: Int)?

  struct Answer {
    let number: Int
    let probability: Double
  }

  struct Layer {
    /// [E] p(e|x).
    let gate: [Double]
    let ran: Set<Int>
    let mixed: Set<Int>
  }

  /// Samples of a file at most; the program writes six.
  private static let limit = 64

  /// Reads `samples.json`; nothing where there is none.
  ///
  /// - Throws: ``Failure`` with the exit code for bad data, that names the place.
  static func read(_ file: String) throws(Failure) -> [RecordedSample] {
    guard let reader = try FieldReader(file: file, limit: 1 << 22) else { return [] }
    let list = try reader.required("samples")
    let entries = try list.elements
    guard entries.count <= limit else { throw list.wrong("a list of at most \(limit)") }
    var samples: [RecordedSample] = []
    for entry in entries { samples.append(try RecordedSample(entry)) }
    return samples
  }

  private init(_ entry: FieldReader) throws(Failure) {
    reason = try entry.required("reason").text
    sample = try entry.required("sample").count
    label = try entry.required("label").count
    prediction = try entry.required("prediction").count
    top = try Self.answers(entry.required("distribution"))
    var layers: [Layer] = []
    for layer in try entry.required("layers").elements { layers.append(try Self.layer(layer)) }
    guard let first = layers.first, layers.allSatisfy({ $0.gate.count == first.gate.count }) else {
      throw try entry.required("layers").wrong("a list of layers with as many experts each")
    }
    self.layers = layers
    var answers: [[Answer]?] = []
    if let list = entry["answers"] {
      for answer in try list.elements {
        answers.append(answer.json == .null ? nil : try Self.answers(answer))
      }
      guard answers.count == first.gate.count else { throw list.wrong("an answer of every expert") }
    }
    self.answers = answers
    image = try entry["image"].map { (field) throws(Failure) in try Self.image(field) }
  }

  private static func answers(_ list: FieldReader) throws(Failure) -> [Answer] {
    var answers: [Answer] = []
    for entry in try list.elements {
      answers.append(
        Answer(
          number: try entry.required("class").count, probability: try share(entry.required("probability"))))
    }
    return answers
  }

  private static func layer(_ entry: FieldReader) throws(Failure) -> Layer {
    var gate: [Double] = []
    for p in try entry.required("gate").elements { gate.append(try share(p)) }
    func experts(_ key: String) throws(Failure) -> Set<Int> {
      let field = try entry.required(key)
      let numbers = try field.counts
      guard numbers.allSatisfy(gate.indices.contains) else { throw field.wrong("a list of experts") }
      return Set(numbers)
    }
    return Layer(gate: gate, ran: try experts("ran"), mixed: try experts("mixed"))
  }

  /// A probability; rounding may take it a little beyond 1.
  private static func share(_ field: FieldReader) throws(Failure) -> Double {
    let value = try field.amount
    guard value <= 1.001 else { throw field.wrong("a number from 0 to 1") }
    return value
  }

  /// A picture that is larger than a run's own is none of it.
  private static func image(_ field: FieldReader) throws(Failure) -> (file: [UInt8], width: Int, height: Int)
  {
    guard let data = Data(base64Encoded: try field.text), data.count <= SampleRecord.imageLimit,
      let size = PNG.size(of: Array(data))
    else { throw field.wrong("a PNG file in base64") }
    return (Array(data), size.width, size.height)
  }
}
