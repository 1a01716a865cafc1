import Files
import Foundation
import Records
import TestSupport
import Testing
import Training

/// What stays when checkpoints are written one after the other. A run of two steps an epoch.
struct CheckpointRetentionTests {
  private func name(_ epoch: Int) -> CheckpointName { CheckpointName(epochs: epoch, steps: 2 * epoch) }

  /// The epochs whose checkpoints are there.
  private func epochs(_ scratch: TemporaryDirectory) throws -> [Int] {
    try CheckpointDirectory(scratch.path).list().map(\.epochs)
  }

  private func position(_ epoch: Int) -> RunPosition {
    var position = RunPosition()
    (position.epoch, position.step) = (epoch, 2 * epoch)
    return position
  }

  /// Ends an epoch as the trainer does: the line of the validation, the checkpoint, what is removed.
  private func end(
    _ epoch: Int, _ error: Double?, _ scratch: TemporaryDirectory, _ retention: inout CheckpointRetention?
  ) throws {
    let metrics = scratch.path + "/metrics.jsonl"
    if let error {
      let line = #"{"epoch":\#(epoch),"error":\#(error),"split":"validation","step":\#(2 * epoch)}"# + "\n"
      let before = (try? String(contentsOfFile: metrics, encoding: .utf8)) ?? ""
      try Data((before + line).utf8).write(to: URL(fileURLWithPath: metrics))
      retention?.validated(position(epoch), error: error)
    }
    _ = try scratch.write([], to: name(epoch).fileName)
    _ = try scratch.write(Array((name(epoch).fileName + "\n").utf8), to: "latest")
    try retention?.prune(after: name(epoch))
  }

  @Test func theNewestStay() throws {
    let scratch = TemporaryDirectory()
    var retention = CheckpointRetention(of: scratch.path, keeping: 3)
    for epoch in 1...5 { try end(epoch, nil, scratch, &retention) }
    #expect(try epochs(scratch) == [3, 4, 5])
  }

  @Test func noneKeepsAll() throws {
    let scratch = TemporaryDirectory()
    var retention = CheckpointRetention(of: scratch.path, keeping: 0)
    for epoch in 1...5 { try end(epoch, nil, scratch, &retention) }
    #expect(retention == nil)
    #expect(try epochs(scratch) == [1, 2, 3, 4, 5])
  }

  /// Errors fall to epoch 2, rise, and fall below it in epoch 5; of equal ones the first is the best.
  @Test func theBestStaysUntilThereIsABetterOne() throws {
    let scratch = TemporaryDirectory()
    var retention = CheckpointRetention(of: scratch.path, keeping: 1)
    let kept: [[Int]] = [[1], [2], [2, 3], [2, 4], [5], [5, 6]]
    for (epoch, error) in zip(1..., [0.5, 0.25, 0.375, 0.25, 0.125, 0.5]) {
      try end(epoch, error, scratch, &retention)
      #expect(try epochs(scratch) == kept[epoch - 1])
      #expect(try BestCheckpoint(of: scratch.path).name.epochs == [1, 2, 2, 2, 5, 5][epoch - 1])
    }
  }

  /// Another process goes on: the best of before is known by the record.
  @Test func theBestOutlivesAResume() throws {
    let scratch = TemporaryDirectory()
    var before = CheckpointRetention(of: scratch.path, keeping: 2)
    for (epoch, error) in zip(1..., [0.125, 0.5, 0.5, 0.5]) { try end(epoch, error, scratch, &before) }
    #expect(try epochs(scratch) == [1, 3, 4])
    var after = CheckpointRetention(of: scratch.path, keeping: 1)
    for epoch in 5...6 { try end(epoch, 0.5, scratch, &after) }
    #expect(try epochs(scratch) == [1, 6])
  }

  @Test func onlyCheckpointsAreRemoved() throws {
    let scratch = TemporaryDirectory()
    let link = CheckpointName(epochs: 0, steps: 0).fileName
    let others = ["checkpoint-best.safetensors", "checkpoint-0001-00000002.safetensors.bak", "notes"]
    for other in others { _ = try scratch.write([], to: other) }
    #expect(symlink("notes", scratch.path + "/" + link) == 0)
    var retention = CheckpointRetention(of: scratch.path, keeping: 1)
    for epoch in 1...3 { try end(epoch, nil, scratch, &retention) }
    #expect(scratch.names == (others + [link, "latest", name(3).fileName]).sorted())
  }

  @Test func withDamagedMetricsNothingIsRemoved() throws {
    let scratch = TemporaryDirectory()
    _ = try scratch.write(Array("nonsense\n".utf8), to: "metrics.jsonl")
    var retention = CheckpointRetention(of: scratch.path, keeping: 1)
    for epoch in 1...3 {
      #expect(thrownFailure { try end(epoch, nil, scratch, &retention) }?.code == .badData)
    }
    #expect(try epochs(scratch) == [1, 2, 3])
  }
}
