package import Files
internal import MoE
package import Networks
package import Records

/// How a run's tensors start from those of a file, beside what they begin with at random.
extension TrainingState {
  /// Starts from the weights that the settings name, if they name some.
  ///
  /// - Parameter open: opens a file by its path, or has it open.
  /// - Returns: what is to be said of tensors that did not come from where one would think, a sentence each.
  /// - Throws: ``Failure`` for a file that does not fit.
  static func start(
    _ parts: ModelParts, _ configuration: Configuration,
    open: (String) throws(Failure) -> CheckpointFile
  ) throws -> [Message] {
    if let path = configuration.initExpertsFrom { return [try upcycle(parts, from: open(path))] }
    guard let path = configuration.initFrom else { return [] }
    let file = try open(path)
    do {
      try initialise(
        parts, from: file, partial: configuration.initPartial, only: configuration.initOnly)
    } catch {
      guard isSingle(file), parts.hasGate, let failure = error as? Failure else { throw error }
      throw Failure(
        failure.code,
        "\(failure.words); it is a single model: \(setting: "init-experts-from") copies it into every expert")
    }
    return notes(parts, file, only: configuration.initOnly)
  }

  /// Starts from the weights of a file; tensors that it lacks keep their initial values.
  package static func initialise(
    _ parts: ModelParts, from file: CheckpointFile, partial: Bool, only: InitialTensors
  ) throws {
    try checkNames(file, against: parts.tensors.map(\.spec), partial: partial, only: only)
    for parameters in parts.parameters { try read(file, into: parameters, only: only) }
  }

  /// Starts every expert from the one of a single model, and trunk and head from its own; the gate keeps its initial values
  /// (Komatsuzaki et al. 2023, Sparse Upcycling).
  ///
  /// - Returns: what is to be said.
  /// - Throws: ``Failure`` for a file of several experts, and for one that lacks a tensor or has another shape.
  package static func upcycle(_ parts: ModelParts, from file: CheckpointFile) throws -> Message {
    guard isSingle(file) else {
      let isMixture = file.tensors.contains { expert(of: $0.name) != nil }
      let found: Message =
        isMixture ? "a mixture; start from it by \(setting: "init-from")" : "no tensors of an expert"
      throw Failure(
        .badData, "\(file.path): expected a single model, the tensors of expert 0 and no gate, found \(found)"
      )
    }
    let specs = parts.tensors.map(\.spec)
    let isGates = Set(parts.layers.flatMap { $0.gateSize.tensors.map(\.name) })
    let wanted = specs.filter { expert(of: $0.name).map { $0 == 0 } ?? !isGates.contains($0.name) }
    try checkNames(file, against: wanted, partial: false)
    for parameters in parts.parameters {
      for place in parameters.places where !isGates.contains(place.spec.name) {
        try file.read(
          sourceName(place.spec.name), into: parameters.values + place.offset, shape: place.spec.shape,
          converting: true)
      }
    }
    let count = parts.placement.experts
    let gate: Message = isGates.isEmpty ? "" : "; the gate starts at random"
    return "\(file.path) is a single model: each of \(count) experts starts as a copy of it\(gate)"
  }

  /// Starts the distillation of an attentive run: its experts, its gate's trunk for the plain gate, and all of its gate
  /// for the teacher. The plain gate's output layer keeps its initial values.
  package static func distil(_ parts: ModelParts, from file: CheckpointFile) throws {
    let source = AttentiveGateDesign().size(parts.gateRequest).tensors
    let experts = parts.tensors.map(\.spec).filter { InitialTensors.experts.contains($0.name) }
    try checkNames(file, against: source + experts, partial: false)
    for parameters in parts.parameters { try read(file, into: parameters, only: .all) }
    try teach(parts, from: file)
  }

  /// Reads the teacher's gate, where this rank has one; again when a distillation is resumed.
  package static func teach(_ parts: ModelParts, from file: CheckpointFile) throws {
    guard let gate = parts.gate as? DistillationGate else { return }
    for parameters in gate.teacher.parameters { try read(file, into: parameters, only: .all) }
  }

  private static func read(_ file: CheckpointFile, into parameters: Parameters, only: InitialTensors) throws {
    let found = Set(file.tensors.map(\.name))
    for place in parameters.places where found.contains(place.spec.name) && only.contains(place.spec.name) {
      try file.read(
        place.spec.name, into: parameters.values + place.offset, shape: place.spec.shape, converting: true)
    }
  }

  /// Checks that a file holds exactly the model's tensors (beside optimiser state) before any is read from it.
  ///
  /// - Throws: ``Failure`` that names every tensor that is missing, unknown or of another shape.
  ///
  /// - Parameter only: the part of the model that the file is read for; tensors of the other are nobody's business.
  package static func checkNames(
    _ file: CheckpointFile, against expected: [TensorSpec], partial: Bool, only: InitialTensors = .all
  ) throws(Failure) {
    var wrong: [String] = []
    let wanted = expected.filter { only.contains($0.name) }
    let known = Dictionary(uniqueKeysWithValues: wanted.map { ($0.name, $0.shape) })
    var found: Set<String> = []
    for tensor in file.tensors where only.contains(tensor.name) {
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
      for spec in wanted where !found.contains(spec.name) {
        wrong.append("\(spec.name) is missing")
      }
    }
    guard wrong.isEmpty else {
      throw Failure(.badData, "\(file.path): \(wrong.sorted().joined(separator: "; "))")
    }
  }
}

// MARK: - What is said of a start

extension TrainingState {
  /// Which tensors a file did not give, and that an expert is a single model's network.
  private static func notes(
    _ parts: ModelParts, _ file: CheckpointFile, only: InitialTensors
  ) -> [Message] {
    var notes: [Message] = []
    let all = parts.tensors.map(\.spec.name)
    let found = Set(file.tensors.map(\.name)).filter(only.contains)
    let left = groups(of: all.filter { !found.contains($0) }, among: all)
    if !left.isEmpty {
      let shown = left.count > 12 ? left.prefix(10) + ["\(left.count - 10) more"] : left
      notes.append("not from \(file.path), but at random: \(shown.joined(separator: ", "))")
    }
    if isSingle(file), parts.hasGate, only != .gate {
      notes.append(
        "\(file.path) is a single model, which became expert 0 alone; \(setting: "init-experts-from") copies it into every expert"
      )
    }
    return notes
  }

  /// Names of tensors in their order; where all of a gate, an expert or the like are among them, they are one `gate.*`.
  static func groups(of names: [String], among all: [String]) -> [String] {
    func group(_ name: String) -> String {
      let parts = name.split(separator: ".")
      let depth = parts.first == "layers" ? 2 : 0
      guard parts.count > depth else { return name }
      let length = depth + (parts[depth] == "experts" ? 2 : 1)
      return parts.prefix(length).joined(separator: ".")
    }
    let whole = all.reduce(into: [String: Int]()) { $0[group($1), default: 0] += 1 }
    let here = names.reduce(into: [String: Int]()) { $0[group($1), default: 0] += 1 }
    var listed: Set<String> = []
    return names.compactMap { name in
      let group = group(name)
      guard here[group] == whole[group] else { return name }
      return listed.insert(group).inserted ? group + ".*" : nil
    }
  }

  /// Whether a file has the one expert of a single model.
  private static func isSingle(_ file: CheckpointFile) -> Bool {
    let names = file.tensors.map(\.name).filter { !$0.hasPrefix("optimizer.") }
    return Set(names.compactMap { expert(of: $0) }) == [0]
      && !names.contains { $0.split(separator: ".").contains("gate") }
  }

  /// The number of the expert that a tensor belongs to; nil: none.
  private static func expert(of name: String) -> Int? {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false)
    guard InitialTensors.experts.contains(name), let place = parts.firstIndex(of: "experts"),
      place + 1 < parts.count
    else { return nil }
    return Int(parts[place + 1])
  }

  /// The name that a tensor of any expert has in a single model.
  private static func sourceName(_ name: String) -> String {
    guard let number = expert(of: name), let range = name.firstRange(of: "experts.\(number).") else {
      return name
    }
    return name[..<range.lowerBound] + "experts.0." + name[range.upperBound...]
  }
}

extension InitialTensors {
  /// Whether a tensor belongs to this part of the model; all that is not an expert's is the gate's.
  func contains(_ name: String) -> Bool {
    let ofExpert = name.hasPrefix("experts.") || (name.hasPrefix("layers.") && name.contains(".experts."))
    switch self {
    case .all: return true
    case .gate: return !ofExpert
    case .experts: return ofExpert
    }
  }
}
