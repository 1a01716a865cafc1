internal import Dist

/// Where a run stands.
public struct RunPosition: Equatable, Sendable {
  /// Completed epochs.
  public var epoch = 0
  /// Completed steps of the run.
  public var step = 0
  /// Rows of the current epoch that were trained on.
  public var rowsDone = 0

  public init() {}
}

/// What a checkpoint says beside its tensors, and how a run's tensors are listed in one.
///
/// Only what determines values is written: never the number of ranks, hosts, placement, payload, paths or times.
package enum TrainingState {
  package static let format = "moe-dist-1"

  /// The metadata of a checkpoint.
  package static func metadata(
    configuration: Configuration, data: DataSet, position: RunPosition, sums: MetricsAccumulator
  ) throws -> [String: String] {
    [
      "format": format,
      "configuration": configuration.valueKeysJSON(),
      "data": JSONValue.object(data.fingerprints.map { .init(key: $0.key, value: .string($0.value)) }).text(),
      "epoch": String(position.epoch),
      "step": String(position.step),
      "rows_done": String(position.rowsDone),
      "epoch_sums": try sums.text(),
    ]
  }

  /// Reads the position of a run from a checkpoint's metadata.
  package static func position(_ metadata: [String: String], file: String) throws(Failure) -> RunPosition {
    guard metadata["format"] == format else {
      throw Failure(
        .badData,
        "\(file): not a checkpoint of this program (format \(metadata["format"] ?? "missing"), expected \(format)); "
          + "start from its weights with --init-from")
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

  /// All tensors of a run with their owners: parameters, statistics and Adam's moments; storage where this rank owns them.
  package static func tensors(of parts: ModelParts) -> [CheckpointTensor] {
    var storage: [String: (Floats, Parameters.Place, Parameters)] = [:]
    for network in parts.networks {
      for place in network.parameters.places {
        storage[place.spec.name] = (network.parameters.values, place, network.parameters)
      }
    }
    var list: [CheckpointTensor] = []
    for (spec, owner) in parts.tensors {
      let here = storage[spec.name]
      func tensor(_ name: String, _ base: Floats?) -> CheckpointTensor {
        CheckpointTensor(
          name: name, shape: spec.shape, owner: owner,
          storage: base.flatMap { base in here.map { UnsafePointer(base + $0.1.offset) } })
      }
      list.append(tensor(spec.name, here?.0))
      if spec.isTrained {
        list.append(tensor("optimizer.\(spec.name).m", here?.2.training?.first))
        list.append(tensor("optimizer.\(spec.name).v", here?.2.training?.second))
      }
    }
    return list
  }

  /// Reads this rank's tensors from a checkpoint.
  ///
  /// - Parameter moments: also Adam's moments, to continue a run.
  package static func load(_ file: CheckpointFile, into parts: ModelParts, moments: Bool) throws {
    for network in parts.networks {
      for place in network.parameters.places {
        let spec = place.spec
        try file.read(spec.name, into: network.parameters.values + place.offset, shape: spec.shape)
        guard moments, spec.isTrained, let training = network.parameters.training else { continue }
        try file.read("optimizer.\(spec.name).m", into: training.first + place.offset, shape: spec.shape)
        try file.read("optimizer.\(spec.name).v", into: training.second + place.offset, shape: spec.shape)
      }
    }
  }

  /// Checks that a file holds exactly the model's tensors (beside optimiser state) before any is read from it.
  ///
  /// - Throws: ``Failure`` that names every tensor that is missing, unknown or of another shape.
  package static func checkNames(_ file: CheckpointFile, against parts: ModelParts, partial: Bool)
    throws(Failure)
  {
    var wrong: [String] = []
    let known = Dictionary(uniqueKeysWithValues: parts.tensors.map { ($0.spec.name, $0.spec.shape) })
    var found: Set<String> = []
    for tensor in file.tensors {
      found.insert(tensor.name)
      guard let shape = known[tensor.name] else {
        if !tensor.name.hasSuffix(".num_batches_tracked") && !tensor.name.hasPrefix("optimizer.") {
          wrong.append("\(tensor.name) is unknown")
        }
        continue
      }
      if shape != tensor.shape { wrong.append("\(tensor.name) is \(tensor.shape), expected \(shape)") }
    }
    if !partial {
      for (spec, _) in parts.tensors where !found.contains(spec.name) {
        wrong.append("\(spec.name) is missing")
      }
    }
    guard wrong.isEmpty else {
      throw Failure(.badData, "\(file.path): \(wrong.sorted().joined(separator: "; "))")
    }
  }

  /// Starts from the weights of a file; tensors that it lacks keep their initial values.
  package static func initialise(_ parts: ModelParts, from file: CheckpointFile, partial: Bool) throws {
    try checkNames(file, against: parts, partial: partial)
    let found = Set(file.tensors.map(\.name))
    for network in parts.networks {
      for place in network.parameters.places where found.contains(place.spec.name) {
        try file.read(
          place.spec.name, into: network.parameters.values + place.offset, shape: place.spec.shape)
      }
    }
  }

  /// The first tensor of this rank that holds a value that is not finite; nil if all are.
  package static func nonFinite(_ parts: ModelParts) -> String? {
    for network in parts.networks {
      for place in network.parameters.places {
        let values = network.parameters.values + place.offset
        for i in 0..<place.spec.count where !values[i].isFinite { return place.spec.name }
      }
    }
    return nil
  }
}
