internal import Files
package import Networks

extension Configuration {
  /// What updates the parameters.
  package var optimiserRule: any Optimiser { optimiser.optimiser(momentum: momentum ?? 0) }

  /// How the learning rate changes, for epochs of so many steps.
  package func learningRates(stepsPerEpoch: Int) -> any Schedule {
    let steps = max(stepsPerEpoch, 1)
    let main: any Schedule =
      switch schedule {
      case .constant: ConstantSchedule()
      case .step: StepSchedule(every: (stepEpochs ?? 1) * steps, ratio: stepFactor ?? 1)
      case .cosine: CosineSchedule(length: (scheduleEpochs ?? 1) * steps)
      }
    return warmUp > 0 ? WarmUp(steps: warmUp, before: main) : main
  }

  /// Gives optimiser and schedule what they need and nobody gave, and refuses what contradicts them.
  mutating func completeOptimiser(_ given: [String: ConfigurationLayer.Entry]) throws(Failure) {
    if optimiser == .sgd { momentum = momentum ?? 0.9 }
    if schedule == .step {
      guard stepEpochs != nil else {
        throw Failure(
          .usage,
          "\(setting: "schedule") step needs the epochs between its factors; give \(setting: "step-epochs") N"
        )
      }
      stepFactor = stepFactor ?? 0.1
    }
    if schedule == .cosine {
      let length = scheduleEpochs ?? max(epochs, 1)
      guard epochs <= length else {
        throw Failure(
          .usage,
          "\(given["epochs"]?.words ?? "\(setting: "epochs", epochs)") goes beyond \(setting: "schedule-epochs", length), where the cosine has "
            + "brought the learning rate to 0; train at most \(length) epochs, or start a new run with "
            + "\(setting: "schedule-epochs", epochs)")
      }
      scheduleEpochs = length
    }
    if let patience, validationFraction == 0 {
      throw Failure(
        .usage,
        "\(given["patience"]?.words ?? "\(setting: "patience", patience)") watches the validation error, but "
          + "\(setting: "validation-fraction") 0 holds no samples out; give it a fraction, or leave out \(setting: "patience")"
      )
    }
  }
}
