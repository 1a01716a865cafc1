package import DataSets
package import Files
internal import Foundation
internal import Records

/// The few samples of an evaluation whose way a run keeps for its page: the two that the gate of the first layer is least
/// decided about, and the first two others that the model gets right and wrong.
package struct SampleChoice {
  package enum Reason: String {
    case right, wrong, undecided
  }

  /// Samples for each reason.
  private static let each = 2

  /// The first ones, as many as are left when others are taken as undecided.
  private var right: [Int] = []
  private var wrong: [Int] = []
  /// By falling entropy of the gate; the first of equals first.
  private var undecided: [(sample: Int, entropy: Double)] = []

  package init() {}

  /// Looks at samples, ascending.
  package mutating func add(_ outcomes: [SampleOutcome]) {
    for outcome in outcomes {
      let isRight = outcome.prediction == outcome.label
      if isRight, right.count < 2 * Self.each { right.append(outcome.sample) }
      if !isRight, wrong.count < 2 * Self.each { wrong.append(outcome.sample) }
      let entropy = entropyInBits(outcome.gateProbabilities.lazy.map { Double($0) })
      let place = undecided.firstIndex { $0.entropy < entropy } ?? undecided.count
      guard place < Self.each else { continue }
      undecided.insert((outcome.sample, entropy), at: place)
      if undecided.count > Self.each { undecided.removeLast() }
    }
  }

  /// The choice: right ones, wrong ones, undecided ones.
  package var samples: [(sample: Int, reason: Reason)] {
    let taken = undecided.map(\.sample)
    func first(_ candidates: [Int], _ reason: Reason) -> [(sample: Int, reason: Reason)] {
      candidates.filter { !taken.contains($0) }.prefix(Self.each).map { ($0, reason) }
    }
    return first(right, .right) + first(wrong, .wrong) + taken.map { ($0, .undecided) }
  }
}

/// What `samples.json` says.
package struct SampleRecord {
  /// Bytes that the images take at most, as PNG files.
  package static let imageLimit = 16_000
  /// Classes that are kept of every answer.
  package static let top = 3

  /// Bytes that the images take.
  package let imageBytes: Int
  package let json: JSONValue

  /// - Parameters:
  ///   - details: in the order of the reasons.
  ///   - images: where the samples are; nil: without images.
  package init(
    _ details: [SampleDetail], reasons: [SampleChoice.Reason], images: ImageSet?, epoch: Int, step: Int
  ) {
    let files = images.flatMap { Self.files(of: details.map(\.outcome.sample), in: $0) }
    imageBytes = files?.reduce(0) { $0 + $1.count } ?? 0
    json = [
      "split": "test", "epoch": .integer(epoch), "step": .integer(step),
      "samples": .array(
        zip(details, reasons).enumerated().map { number, sample in
          var members = sample.0.json(top: Self.top)
          members.append(.init(key: "reason", value: .string(sample.1.rawValue)))
          if let files {
            members.append(
              .init(key: "image", value: .string(Data(files[number]).base64EncodedString())))
          }
          return .object(members)
        }),
    ]
  }

  /// The images, all of the largest size at which they fit; nil where none does, and for what is no picture.
  private static func files(of samples: [Int], in images: ImageSet) -> [[UInt8]]? {
    for halvings in 0...3 {
      let files = samples.compactMap { ReducedImage($0, of: images, halvings: halvings).file }
      if files.count == samples.count, files.reduce(0, { $0 + $1.count }) <= imageLimit { return files }
    }
    return nil
  }
}
