import Files
import Networks
import Testing
import Training

private func resolve(_ pairs: KeyValuePairs<String, String>) throws -> ResolvedConfiguration {
  try Configuration.resolve([ConfigurationLayer(commandLine: pairs.map { ($0.key, $0.value) })])
}

private func refusal(_ pairs: KeyValuePairs<String, String>) -> String? {
  do {
    _ = try resolve(pairs)
    return nil
  } catch {
    return (error as? Failure)?.code == .usage ? "\(error)" : nil
  }
}

struct OptimiserSettingsTests {
  @Test func whatIsNeededIsThere() throws {
    let plain = try resolve([:]).configuration
    #expect(plain.optimiser == .adam && plain.momentum == nil && plain.schedule == .constant)
    #expect(plain.clipNorm == nil && plain.warmUp == 0 && plain.patience == nil)
    #expect(try resolve(["optimiser": "sgd"]).configuration.momentum == 0.9)
    #expect(try resolve(["schedule": "step", "step-epochs": "2"]).configuration.stepFactor == 0.1)
    #expect(try resolve(["schedule": "cosine", "epochs": "7"]).configuration.scheduleEpochs == 7)
    #expect(try resolve(["schedule": "cosine", "epochs": "0"]).configuration.scheduleEpochs == 1)
    let longer = try resolve(["schedule": "cosine", "epochs": "7", "schedule-epochs": "9"])
    #expect(longer.configuration.scheduleEpochs == 9)
  }

  @Test func whatContradictsIsRefused() {
    #expect(refusal(["schedule": "step"])?.contains("step-epochs N") == true)
    #expect(
      refusal(["schedule": "cosine", "epochs": "9", "schedule-epochs": "4"])?
        .hasPrefix("epochs 9 goes beyond schedule-epochs 4") == true)
    #expect(
      refusal(["patience": "2", "validation-fraction": "0"])?.hasPrefix(
        "patience 2 watches the validation error")
        == true)
  }

  @Test func whatHasNoEffectIsSaid() throws {
    let resolved = try resolve([
      "momentum": "0.5", "schedule-epochs": "3", "step-epochs": "2", "step-factor": "0.5",
    ])
    #expect(
      resolved.notes.map(\.description) == [
        "momentum 0.5 has no effect with optimiser adam",
        "schedule-epochs 3 has no effect with schedule constant",
        "step-epochs 2 has no effect with schedule constant",
        "step-factor 0.5 has no effect with schedule constant",
      ])
    #expect(resolved.configuration == (try resolve([:]).configuration))
    #expect(
      try resolve(["optimiser": "adamw"]).notes.map(\.description) == [
        "optimiser adamw is Adam as long as weight-decay is 0"
      ])
    #expect(try resolve(["optimiser": "adamw", "weight-decay": "0.01"]).notes.isEmpty)
  }

  /// Learning rates are those of the schedule over epochs of ten steps.
  @Test func epochsBecomeSteps() throws {
    func rates(_ pairs: KeyValuePairs<String, String>, _ steps: [Int]) throws -> [Double] {
      let schedule = try resolve(pairs).configuration.learningRates(stepsPerEpoch: 10)
      return steps.map { schedule.factor(step: $0) }
    }
    #expect(
      try rates(["schedule": "step", "step-epochs": "2", "step-factor": "0.5"], [1, 20, 21, 41]) == [
        1, 1, 0.5, 0.25,
      ])
    #expect(try rates(["schedule": "cosine", "epochs": "3"], [1, 31]) == [1, 0])
    #expect(try rates(["warm-up": "4"], [1, 4, 5]) == [0.25, 1, 1])
  }

  /// Checkpoints of before have none of it, and go on with what they were trained with.
  @Test func anEarlierCheckpointIsRead() throws {
    var text = Configuration().valueKeysJSON()
    for (key, value) in [("optimiser", "adam"), ("schedule", "constant"), ("warm-up", "0")] {
      let shorter = text.replacing("\"\(key)\":\"\(value)\",", with: "")
      #expect(shorter != text)
      text = shorter
    }
    let read = try Configuration(valueKeysJSON: text)
    #expect(read.optimiser == .adam && read.schedule == .constant && read.warmUp == 0)
    let resumed = try Configuration.resuming(
      from: read, earlier: ConfigurationLayer(entries: []),
      [ConfigurationLayer(commandLine: [("optimiser", "adam")])],
      checkpoint: "c")
    #expect(resumed.configuration.optimiser == .adam)
    #expect(throws: Failure.self) {
      try Configuration.resuming(
        from: read, earlier: ConfigurationLayer(entries: []),
        [ConfigurationLayer(commandLine: [("optimiser", "sgd")])],
        checkpoint: "c")
    }
  }
}
