package import DataSets
internal import Dist
package import Files
internal import KernelInterface
internal import MoE
internal import Networks
package import Records

/// Where a run stands.
public struct RunPosition: Equatable, Sendable {
  /// Completed epochs.
  public var epoch = 0
  /// Completed steps of the run.
  public var step = 0
  /// Rows of the current epoch that were trained on.
  public var rowsDone = 0

  public init() {}

  /// Steps of the current epoch.
  func stepsBegun(batchSize: Int) -> Int { (rowsDone + batchSize - 1) / batchSize }
}

/// What a checkpoint says beside its tensors, and how a run's tensors are listed in one.
///
/// Only what determines values is written: never the number of ranks, hosts, placement, payload, paths or times.
package enum TrainingState {
  package static let format = "moe-dist-1"

  /// The metadata of a checkpoint.
  ///
  /// - Parameter teacher: SHA-256 that names the content of the run that is distilled; nil where none is.
  package static func metadata(
    configuration: Configuration, data: DataSet, position: RunPosition, sums: MetricsAccumulator,
    best: BestEpoch?, teacher: String?
  ) throws -> [String: String] {
    var metadata = [
      "format": format,
      "configuration": configuration.valueKeysJSON(),
      "data": fingerprintText(data),
      descriptionKey: DataDescription(data).text,
      "epoch": String(position.epoch),
      "step": String(position.step),
      "rows_done": String(position.rowsDone),
      "epoch_sums": try sums.text(),
    ]
    metadata["teacher"] = teacher
    best?.write(to: &metadata)
    return metadata
  }

  /// Of what a model has to know of its data, see ``description(_:)``.
  private static let descriptionKey = "data_description"

  /// What a checkpoint says of its data; nil for one of an earlier version, which says nothing.
  ///
  /// - Throws: ``Failure`` with the exit code for bad data.
  package static func description(_ file: CheckpointFile) throws(Failure) -> DataDescription? {
    guard let text = file.metadata[descriptionKey] else { return nil }
    guard let description = DataDescription(text: text) else {
      throw Failure(
        .badData, "\(file.path): metadata entry '\(descriptionKey)' is not a description of data")
    }
    return description
  }

  private static func fingerprintText(_ data: DataSet) -> String {
    JSONValue.object(data.fingerprints.map { .init(key: $0.key, value: .string($0.value)) }).text()
  }

  /// Checks that a checkpoint was trained on these data.
  ///
  /// - Throws: ``Failure`` with the exit code for bad data that names the parts that differ.
  package static func checkData(_ file: CheckpointFile, _ data: DataSet) throws(Failure) {
    guard let text = file.metadata["data"], text != fingerprintText(data) else { return }
    let trained = try? JSONValue(parsing: text)
    let parts = data.fingerprints.keys.sorted().filter {
      trained?[$0]?.stringValue != data.fingerprints[$0]
    }
    throw Failure(
      .badData,
      "\(file.path): was trained on other data than those of '\(data.name)' here (different: "
        + "\(parts.isEmpty ? "the list of files" : parts.joined(separator: ", "))); give the data that it was trained on "
        + "with \(setting: "data-dir")")
  }

  /// Reads the position of a run from a checkpoint's metadata.
  package static func position(_ metadata: [String: String], file: String) throws(Failure) -> RunPosition {
    guard metadata["format"] == format else {
      throw Failure(
        .badData,
        "\(file): not a checkpoint of this program (format \(metadata["format"] ?? "missing"), expected \(format)); "
          + "start from its weights with \(setting: "init-from")")
    }
    func number(_ key: String) throws(Failure) -> Int {
      guard let text = metadata[key], let value = Int(text), value >= 0 else {
        throw Failure(.badData, "\(file): metadata entry '\(key)' is not a number")
      }
      return value
    }
    var position = RunPosition()
    position.epoch = try number("epoch")
    position.step = try number("step")
    position.rowsDone = try number("rows_done")
    return position
  }

  /// All tensors of a run with their owners: parameters, statistics and the optimiser's state; storage where this rank
  /// owns them.
  package static func tensors(of parts: ModelParts) -> [CheckpointTensor] {
    var storage: [String: (Floats, Parameters.Place, Parameters)] = [:]
    for parameters in parts.parameters {
      for place in parameters.places { storage[place.spec.name] = (parameters.values, place, parameters) }
    }
    var list: [CheckpointTensor] = []
    for (spec, owner, isTrained) in parts.tensors {
      let here = storage[spec.name]
      func tensor(_ name: String, _ base: Floats?) -> CheckpointTensor {
        CheckpointTensor(
          name: name, shape: spec.shape, owner: owner,
          storage: base.flatMap { base in here.map { UnsafePointer(base + $0.1.offset) } })
      }
      list.append(tensor(spec.name, here?.0))
      if isTrained {
        for (index, name) in parts.optimiser.state.enumerated() {
          list.append(tensor(stateName(spec, name), here?.2.training?.state[index]))
        }
      }
    }
    return list
  }

  /// Reads this rank's tensors from a checkpoint.
  ///
  /// - Parameter state: also the optimiser's, to continue a run.
  package static func load(_ file: CheckpointFile, into parts: ModelParts, state: Bool) throws {
    for parameters in parts.parameters {
      for place in parameters.places {
        let spec = place.spec
        try file.read(spec.name, into: parameters.values + place.offset, shape: spec.shape)
        guard state, spec.isTrained, let training = parameters.training else { continue }
        for (name, vector) in zip(parts.optimiser.state, training.state) {
          try file.read(stateName(spec, name), into: vector + place.offset, shape: spec.shape)
        }
      }
    }
  }

  /// What a checkpoint calls what an optimiser keeps of a tensor.
  private static func stateName(_ spec: TensorSpec, _ name: String) -> String {
    "optimizer.\(spec.name).\(name)"
  }

  /// The first tensor of this rank that holds a value that is not finite; nil if all are.
  package static func nonFinite(_ parts: ModelParts) -> String? {
    for parameters in parts.parameters {
      for place in parameters.places {
        let values = parameters.values + place.offset
        for i in 0..<place.spec.count where !values[i].isFinite { return place.spec.name }
      }
    }
    return nil
  }
}
