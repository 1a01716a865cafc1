import Files
import MoE
import Records
import Testing
import Training

private func layer(_ pairs: KeyValuePairs<String, String>) -> ConfigurationLayer {
  ConfigurationLayer(commandLine: pairs.map { ($0.key, $0.value) })
}

/// The settings of noise, capacity and losses of the choice.
struct ChoiceSettingsTests {
  /// Noise, capacity and the losses of the choice, where there is no choice or no gate to train.
  @Test func choicesWithoutEffectAreSaid() throws {
    func notes(_ pairs: KeyValuePairs<String, String>) throws -> [String] {
      try Configuration.resolve([layer(pairs)]).notes.map(\.description)
    }
    #expect(
      try notes(["noise": "1", "capacity": "2", "load-balance": "0.1", "z-loss": "0.1"]) == [
        "noise 1 has no effect with combine expectation",
        "capacity 2 has no effect with combine expectation",
        "load-balance 0.1 has no effect where every expert takes every sample",
      ])
    #expect(
      try notes(["combine": "top-k", "noise": "1", "capacity": "2", "load-balance": "0.1", "z-loss": "1"])
        .isEmpty)
    #expect(
      try notes(["combine": "top-k", "top-k": "5", "load-balance": "0.1"]) == [
        "load-balance 0.1 has no effect where every expert takes every sample"
      ])
    let frozen = try Configuration.resolve([
      layer(["combine": "top-k", "freeze": "gate", "z-loss": "1", "load-balance": "1", "noise": "1"])
    ])
    #expect(
      frozen.notes.count == 2 && frozen.notes.allSatisfy { $0.description.contains("with freeze gate") })
    #expect(frozen.configuration.zLoss == 0 && frozen.configuration.loadBalance == 0)
    #expect(frozen.configuration.noise == 1)
    let chooses = try notes(["gate": "loss", "z-loss": "1", "noise": "1", "capacity": "1"])
    #expect(chooses.count == 3 && chooses.allSatisfy { $0.contains("with gate loss") })
  }

  /// The losses of the first version come first: their sums have keys of their own in checkpoints.
  @Test func lossesHaveNamesOfTheirOwn() {
    var configuration = ConfigurationTests.configurations[0]
    configuration.loadBalance = 1
    let names = configuration.routingLosses.map(\.name)
    #expect(names == ["importance_loss", "similarity_loss", "z_loss", "load_balance_loss"])
    #expect(names.allSatisfy { $0.hasSuffix(MetricsRecord.lossSuffix) })
    configuration.dropRoutingLosses()
    #expect(configuration.routingLosses.isEmpty)
  }

  /// A checkpoint of version 0.1.0 lacks what came later, and has no noise, limit or loss of it.
  @Test func laterSettingsHaveTheirDefaults() throws {
    var configuration = Configuration()
    configuration.combine = .topK
    let later: Set = [
      "products", "layers", "noise", "capacity", "z-loss", "load-balance", "optimiser", "momentum",
      "schedule",
      "schedule-epochs", "step-epochs", "step-factor", "warm-up", "clip-norm",
    ]
    #expect(Set(ConfigurationSchema.settings.filter { !$0.isInEveryCheckpoint }.map(\.key)) == later)
    guard case .object(let members) = try JSONValue(parsing: configuration.valueKeysJSON()) else { return }
    let old = JSONValue.object(members.filter { !later.contains($0.key) })
    #expect(try Configuration(valueKeysJSON: old.text()) == configuration)
  }
}
