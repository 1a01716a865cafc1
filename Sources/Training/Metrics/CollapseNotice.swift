package import Files
internal import MoE
package import Records

/// Says once in a run that experts are dead, which is how the original mixture fails (arXiv 2302.14703, §4), and what helps.
package struct CollapseNotice {
  private var isSaid = false

  package init() {}

  /// - Parameters:
  ///   - gates: the figures of every mixture layer after an epoch.
  ///   - epoch: completed epochs.
  /// - Returns: nil where all experts are in use, where the gate learns nothing that could be changed, and after the first
  ///   time.
  package mutating func words(
    _ gates: [GateFigures], epoch: Int, configuration: Configuration
  ) -> Message? {
    guard !isSaid, configuration.trainsGate, !configuration.gate.design.isOracle else { return nil }
    let dead = gates.enumerated().compactMap { layer, gate in
      gate.use?.deadWords.map { gates.count > 1 ? "layer \(layer + 1): \($0)" : $0 }
    }
    guard !dead.isEmpty else { return nil }
    isSaid = true
    return "after epoch \(epoch), " + Message(dead.joined(separator: "; "))
      + configuration.helpAgainstCollapse
  }
}

extension Configuration {
  /// What spreads the work, of the settings that are not in use yet; empty where all are, or the gate has none of them.
  var helpAgainstCollapse: Message {
    guard gate == .softmax || gate == .attentive else { return "" }
    var help: [Message] = []
    if importance == 0 { help.append("\(setting: "importance", 0.6) (equal use)") }
    if gate == .softmax, combine != .topK, !isDeep { help.append("\(setting: "gate", "attentive")") }
    if similarity == 0, dissimilarity == 0, !isDeep {
      help.append("\(setting: "similarity") (similar samples to one expert)")
    }
    if combine == .topK {
      if noise == 0 { help.append("\(setting: "noise", 1)") }
      if loadBalance == 0 { help.append("\(setting: "load-balance", 0.01)") }
    }
    if help.isEmpty { return "; a larger \(setting: "importance") helps" }
    return "; what helps: " + Message.list(help, "or")
  }
}
