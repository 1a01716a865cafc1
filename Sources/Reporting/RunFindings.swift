internal import Glibc
internal import MoE
internal import Records

/// What a run's figures say, in sentences that follow from the numbers alone.
struct RunFindings {
  let run: RunRecord

  /// One sentence each, the most important first.
  var sentences: [String] {
    let ofGates = (0..<run.layers).flatMap { layer in
      [use(layer), information(layer), decision(layer), classes(layer)].compactMap { $0 }.map {
        run.layers > 1 ? "Layer \(layer + 1): \($0)" : $0
      }
    }
    return [standing, quality, oracle].compactMap { $0 } + ofGates + [computation].compactMap { $0 }
  }

  /// How far the run came.
  private var standing: String {
    let epochs = run.status?.epoch ?? run.lines.last?.epoch ?? 0
    let steps = run.status?.step ?? run.lines.last?.step ?? 0
    let far = "\(Self.count(epochs, "epoch")) and \(Self.count(steps, "step"))"
    var reason = ""
    if let words = run.status?.reason { reason = ": \(words)" }
    switch run.status?.state {
    case .finished: return "Finished after \(far)\(reason)."
    case .running: return "Running, after \(far)."
    case .interrupted:
      return "Interrupted: its process was killed, or its host failed. The last that it wrote is of \(far)."
    case .stopped: return "Stopped after \(far)\(reason)."
    case .failed: return "Failed after \(far)\(reason)."
    case .diverged: return "Diverged after \(far)\(reason)."
    case .stalled: return "Stalled after \(far)\(reason)."
    case nil: return "No status was written; \(far) are recorded."
    }
  }

  static func count(_ number: Int, _ noun: String) -> String {
    "\(countText(number)) \(noun)\(number == 1 ? "" : "s")"
  }

  private var quality: String? {
    guard let final = run.final else { return "There are no metrics yet: no epoch was completed." }
    guard let error = final.error else { return nil }
    var text = "\(Self.capital(final.split)) error \(fixed(error, 4))"
    if let five = final.topFiveError { text += ", top-5 error \(fixed(five, 4))" }
    if let entropy = final.crossEntropy { text += ", cross-entropy \(fixed(entropy, 4)) nats" }
    let losses = run.lines("validation").compactMap { line in line.loss.map { (line.epoch, $0) } }
    if let best = losses.min(by: { ($0.1, $0.0) < ($1.1, $1.0) }), let last = losses.last, best.0 != last.0 {
      text +=
        "; the validation loss was lowest after epoch \(best.0) (\(fixed(best.1, 4)), at the end \(fixed(last.1, 4)))"
    }
    return text + "."
  }

  static func capital(_ word: String) -> String { word.prefix(1).uppercased() + word.dropFirst() }

  private func use(_ layer: Int) -> String? {
    guard let shares = run.shares(ofLayer: layer), shares.count > 1 else { return nil }
    let never = shares.indices.filter { shares[$0] == 0 }
    let use = ExpertUse(shares: shares)
    let dead = use.dead.filter { shares[$0] > 0 }
    var parts: [String] = []
    if !never.isEmpty {
      parts.append("\(Self.experts(never)) \(never.count == 1 ? "is" : "are") never chosen.")
    }
    if !dead.isEmpty {
      parts.append(
        "\(Self.experts(dead)) \(dead.count == 1 ? "is" : "are") dead: chosen for less than "
          + "\(fixed(100 * ExpertUse.deadBelow(experts: shares.count), 2)) % of the samples, 0.05/E.")
    }
    let most = use.most
    let least = use.least
    if parts.isEmpty {
      parts.append(
        "Every expert is used: from \(percentText(shares[least])) of the samples (expert \(least)) to \(percentText(shares[most])) (expert \(most))."
      )
    } else {
      parts.append("Expert \(most) is chosen most, for \(percentText(shares[most])).")
    }
    if let usage = run.final?.gate(ofLayer: layer).usageEntropy {
      parts.append(
        "Of at most \(fixed(log2(Double(shares.count)), 2)) bits, the usage entropy H_u of the gate's mean probabilities (soft) "
          + "is \(fixed(usage, 2)), that of the choices (hard) \(fixed(use.entropy, 2)).")
    }
    let loads = use.loadWords
    parts.append("\(Self.capital(loads)).")
    return parts.joined(separator: " ")
  }

  /// `Expert 3`, `Experts 1, 2 and 4`; of long lists their number.
  static func experts(_ numbers: [Int]) -> String {
    let list = ExpertUse.list(numbers)
    return numbers.count == 1 ? "Expert \(list)" : numbers.count > 12 ? "\(list) experts" : "Experts \(list)"
  }

  private func information(_ layer: Int) -> String? {
    guard let gate = run.final?.gate(ofLayer: layer), let information = gate.mutualInformation else {
      return nil
    }
    let bound = RunFigures(run: run).informationBound.map { " of at most \(fixed($0, 2))" } ?? ""
    var text = "I(E;Y) \(fixed(information, 2))\(bound) bits between chosen expert and that expert's class"
    if let withTrue = gate.mutualInformationTrue {
      text += ", \(fixed(withTrue, 2)) with the true class"
    }
    return text + "."
  }

  private var oracle: String? {
    guard let kind = run.setting("gate").flatMap(GateKind.init), kind.design.isOracle else { return nil }
    return "These are the figures of an oracle: the gate chooses experts by the labels."
  }

  private func decision(_ layer: Int) -> String? {
    guard let entropy = run.final?.gate(ofLayer: layer).sampleEntropy, entropy >= 0, entropy < 64 else {
      return nil
    }
    return
      "Sample entropy \(fixed(entropy, 3)) bits: the gate spreads a sample over about \(fixed(exp2(entropy), 2)) experts."
  }

  private func classes(_ layer: Int) -> String? {
    guard let maps = ExpertClassMaps(run, layer: layer) else { return nil }
    let with = maps.samples.indices.filter { maps.samples[$0] > 0 }
    guard !with.isEmpty else { return nil }
    let owners = maps.dominating
    let pure = with.filter { column in
      owners[column].map { Double(maps.hard[$0][column]) >= 0.9 * Double(maps.samples[column]) } ?? false
    }
    let noun = with.count == 1 ? "class" : "classes"
    return
      "\(pure.count) of \(with.count) \(noun) \(pure.count == 1 ? "goes" : "go") to one expert with at least 90 % of the samples."
  }

  private var computation: String? {
    guard let account = run.summary?.account, account.rows > 0 else { return nil }
    if account.experts.count == 1 { return nil }
    if account.isDense {
      let advice = run.setting("gate") == "attentive" ? " Keys need every expert; distill to save them." : ""
      return "Every expert ran on every row in training: nothing was saved.\(advice)"
    }
    return
      "In training the experts did \(percentText(account.expertShare)) of the FLOPs of dense experts; with the gate \(percentText(account.wholeShare))."
  }
}
