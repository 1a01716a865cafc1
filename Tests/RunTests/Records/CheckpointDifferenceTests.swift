import Files
import Foundation
import Records
import TestSupport
import Testing

/// In what files and runs differ; everything that is expected follows from values that are written here.
@Suite struct CheckpointDifferenceTests {
  private func write(
    _ tensors: [(name: String, shape: [Int], values: [Float])], _ metadata: [String: String] = ["step": "1"],
    to scratch: TemporaryDirectory, _ name: CheckpointName = CheckpointName(epochs: 0, steps: 1)
  ) throws -> CheckpointFile {
    let samples = tensors.map { SampleTensor(name: $0.name, shape: $0.shape, values: $0.values) }
    for result in writeSample(samples, metadata: metadata, to: scratch.path, fileName: name.fileName) {
      _ = try result.get()
    }
    return try CheckpointFile(path: CheckpointDirectory(scratch.path).path(of: name))
  }

  private func difference(
    _ first: [(name: String, shape: [Int], values: [Float])],
    _ second: [(name: String, shape: [Int], values: [Float])]
  ) throws -> CheckpointDifference {
    let (one, other) = (TemporaryDirectory(), TemporaryDirectory())
    return try CheckpointDifference(write(first, to: one), write(second, to: other))
  }

  @Test func equalFilesAreEqual() throws {
    let tensors: [(String, [Int], [Float])] = [("a", [2], [1, .nan]), ("empty", [0], []), ("s", [], [3])]
    let found = try difference(tensors, tensors)
    #expect(found.isEmpty && found.text(("A", "B")) == "equal: A and B\n")
    #expect(found.json["equal"] == true)
  }

  @Test func countsTheElementsAndNamesTheFirst() throws {
    let found = try difference(
      [("a", [2, 3], [0, 1, 2, 3, 4, 5]), ("same", [1], [7])],
      [("a", [2, 3], [0, 1.5, 2, 3, 4, 4]), ("same", [1], [7])])
    let tensor = try #require(found.tensors.first)
    #expect(found.tensors.count == 1 && found.texts.isEmpty && !found.isEmpty)
    #expect(tensor.name == "a" && tensor.count == 2 && tensor.elements == 6 && tensor.largest == 1)
    let element = try #require(tensor.element)
    #expect(element.index == 1 && element.position == [0, 1])
    #expect(element.first.number == 1 && element.second.number == 1.5)
    #expect(element.first.hexadecimal == "0x3f800000" && element.second.hexadecimal == "0x3fc00000")
    #expect(
      found.text(("A", "B")) == """
        a F32 [2, 3]: 2 of 6 elements differ, by at most 1.0; first [0, 1]: 1.0 (0x3f800000) and 1.5 (0x3fc00000)
        different: A and B: 1 tensor, 0 texts of the metadata

        """)
    let json = try JSONValue(parsing: found.json.text())
    guard case .array(let listed)? = json["tensors"] else {
      Issue.record("no list of tensors")
      return
    }
    #expect(listed[0]["differing"] == 2 && listed[0]["element"]?["index"] == 1)
    #expect(listed[0]["element"]?["second"]?["bits"] == "0x3fc00000")
  }

  /// Bits count, not values: zeros of two signs differ by nothing. Beside a NaN nothing is larger.
  @Test func zerosAndNaN() throws {
    let found = try difference(
      [("nan", [3], [1, .nan, 8]), ("zero", [1], [0])], [("nan", [3], [2, 1, 0]), ("zero", [1], [-0.0])])
    #expect(found.tensors.map(\.name) == ["nan", "zero"])
    #expect(found.tensors[0].count == 3 && found.tensors[0].largest?.isNaN == true)
    #expect(found.tensors[1].count == 1 && found.tensors[1].largest == 0)
    #expect(found.tensors[1].element?.second.text == "-0.0 (0x80000000)")
    #expect(found.json.text().contains(#""largest_difference":null"#))
  }

  @Test func aTensorMayBeMissingOrOfAnotherShape() throws {
    let found = try difference(
      [("left", [1], [0]), ("shape", [2], [0, 0])], [("right", [1], [0]), ("shape", [1, 2], [0, 0])])
    #expect(
      found.text(("A", "B")) == """
        left: only in A
        right: only in B
        shape: F32 [2] and F32 [1, 2]
        different: A and B: 3 tensors, 0 texts of the metadata

        """)
  }

  /// Behind the first piece that is read, and in the last element.
  @Test func largeTensorsAreComparedToTheEnd() throws {
    let count = 600_000
    var values = [Float](repeating: 1, count: count)
    let before = values
    values[599_998] = 3
    values[599_999] = 2
    let found = try difference([("a", [2, 300_000], before)], [("a", [2, 300_000], values)])
    #expect(found.tensors.first?.count == 2 && found.tensors.first?.largest == 2)
    #expect(found.tensors.first?.element?.position == [1, 299_998])
  }

  @Test func settingsAreComparedKeyByKey() throws {
    let (one, other) = (TemporaryDirectory(), TemporaryDirectory())
    let found = try CheckpointDifference(
      write([], ["configuration": #"{"a":"1","b":"2","n":4}"#, "only": "x", "same": "y"], to: one),
      write([], ["configuration": #"{"a":"1","c":"3","n":5}"#, "same": "y"], to: other))
    #expect(found.texts.map(\.key) == ["configuration.b", "configuration.c", "configuration.n", "only"])
    #expect(found.texts.map(\.first) == ["2", nil, "4", "x"])
    #expect(found.texts.map(\.second) == [nil, "3", "5", nil])
    #expect(found.text(("A", "B")).hasPrefix("metadata 'configuration.b': '2' and nothing\n"))
  }

  // MARK: - Runs

  private func name(_ step: Int) -> CheckpointName { CheckpointName(epochs: 0, steps: step) }

  /// A run whose one weight is as given after every step.
  private func write(
    run values: [(step: Int, weight: Float)], rate: String = "0.5", to scratch: TemporaryDirectory
  ) throws -> CheckpointDirectory {
    for (step, weight) in values {
      _ = try write(
        [("b", [1], [0]), ("w", [2], [9, weight])],
        ["step": "\(step)", "configuration": #"{"learning-rate":"\#(rate)"}"#], to: scratch, name(step))
    }
    return CheckpointDirectory(scratch.path)
  }

  @Test func runsPartAtTheFirstCheckpointThatDiffers() throws {
    let (one, other) = (TemporaryDirectory(), TemporaryDirectory())
    let first = try write(run: [(1, 0), (2, 1), (4, 2), (6, 3), (8, 4)], to: one)
    let second = try write(run: [(2, 1), (4, 2.5), (5, 0), (6, 7)], rate: "0.25", to: other)
    let found = try RunDifference(first, second)
    #expect(found.compared == 2 && found.equalBefore == name(2))
    let parting = try #require(found.parting)
    #expect(parting.name == name(4) && parting.difference.texts.isEmpty)
    #expect(parting.difference.tensors.map(\.name) == ["w"])
    #expect(parting.difference.tensors[0].element?.index == 1)
    #expect(found.settings.map(\.key) == ["configuration.learning-rate"])
    #expect(
      found.text(("A", "B")) == """
        metadata 'configuration.learning-rate': '0.5' and '0.25'
        w F32 [2]: 1 of 2 elements differ, by at most 0.5; first [1]: 2.0 (0x40000000) and 2.5 (0x40200000)
        different: A and B part at checkpoint-0000-00000004.safetensors: epoch 0, step 4, first in w [1]: 2.0 \
        (0x40000000) and 2.5 (0x40200000); checkpoint-0000-00000002.safetensors, before it, is equal

        """)
    #expect(found.json["equal_before"] == "checkpoint-0000-00000002.safetensors")
    #expect(found.json["parting"]?["step"] == 4)
  }

  @Test func runsMayBeEqualOrPartBeforeTheFirst() throws {
    let (one, other, third) = (TemporaryDirectory(), TemporaryDirectory(), TemporaryDirectory())
    let first = try write(run: [(2, 1), (4, 2)], to: one)
    let second = try write(run: [(4, 2), (6, 3)], to: other)
    let equal = try RunDifference(first, second)
    #expect(equal.isEmpty && equal.compared == 1 && equal.parting == nil)
    #expect(equal.text(("A", "B")) == "equal: A and B, 1 checkpoint of both\n")
    let parted = try RunDifference(first, write(run: [(2, 0)], to: third))
    #expect(parted.parting?.name == name(2) && parted.equalBefore == nil)
    let none = thrownFailure { _ = try RunDifference(second, CheckpointDirectory(third.path)) }
    #expect(none?.code == .notFound && none?.message.contains("keep 0") == true)
  }
}
