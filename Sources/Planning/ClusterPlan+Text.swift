public import Files
internal import MoE
internal import Records
internal import Training

extension ClusterPlan {
  /// The plan in words and tables.
  public func text(as spelling: Message.Spelling = .settings) -> String {
    let outline = request.outline
    var text = "moe-dist \(Version.text) plans \(request.ranks) rank\(request.ranks == 1 ? "" : "s")"
    if let perHost = request.links.ranksPerHost, perHost < request.ranks {
      text += " on \((request.ranks + perHost - 1) / perHost) hosts of \(perHost)"
    }
    text += ": model \(outline.model), gate \(outline.gateKind.rawValue), \(outline.experts) experts, "
    text += "\(outline.slots) per row, batch \(outline.batchRows) in \(outline.blocks) "
    text += "block\(outline.blocks == 1 ? "" : "s") of \(outline.blockRows)\n"
    for source in request.sources { text += "\(source)\n" }
    for choice in choices { text += "\n" + choiceText(choice) }
    return text + "\n" + phasesText + "\n" + scalingText + "\n" + adviceText.text(as: spelling)
  }

  private func choiceText(_ choice: Choice) -> String {
    var text = "gate \(choice.gate.rawValue)"
    if choice.gate == .replicated {
      let ranks = min(choice.ranks, request.outline.blocks)
      text += ", computed by \(ranks) rank\(ranks == 1 ? "" : "s"): a batch has \(request.outline.blocks) "
      text += "block\(request.outline.blocks == 1 ? "" : "s")"
    }
    var table = TextTable(heading: [
      "ranks", "experts each", "gate", "parameters each", "memory each, at most",
    ])
    for group in groups(choice) {
      let range =
        group.ranks.count == 1
        ? String(group.ranks.lowerBound) : "\(group.ranks.lowerBound)-\(group.ranks.upperBound - 1)"
      table.add([
        range, String(group.experts), group.hasGate ? "yes" : "-", String(group.parameters),
        bytesText(group.memory),
      ])
    }
    text += "\n" + table.text
    text += "between ranks per step: \(bytesText(choice.rowBytes)) of samples, "
    text += "\(bytesText(choice.answerBytes)) of answers"
    if request.outline.trainsExperts { text += ", \(bytesText(choice.answerBytes)) of gradients" }
    return text + "\n"
  }

  /// Predicted milliseconds per phase on rank 0 and on the fullest other rank.
  private var phasesText: String {
    let isAlone = request.ranks == 1
    var heading = ["predicted ms per step"]
    for choice in choices {
      heading.append("\(choice.gate.rawValue), rank 0")
      if !isAlone { heading.append("fullest other") }
    }
    var table = TextTable(heading: heading)
    for phase in Phase.allCases {
      var cells = [phase.rawValue]
      var any = false
      for choice in choices {
        let times = isAlone ? [choice.prediction.first] : [choice.prediction.first, choice.prediction.other]
        for time in times {
          any = any || time[phase.index] > 0
          cells.append(fixed(time[phase.index] * 1e3, 3))
        }
      }
      if any { table.add(cells) }
    }
    return table.text
  }

  private var scalingText: String {
    var table = TextTable(heading: ["ranks", "gate", "step ms", "samples/s", "speed-up", "its bound"])
    for choice in scaling + choices {
      table.add([
        String(choice.ranks), choice.gate.rawValue, fixed(choice.prediction.step * 1e3, 3),
        fixed(Double(request.outline.batchRows) / choice.prediction.step, 0), fixed(choice.speedUp, 2),
        fixed(choice.bound, 2),
      ])
    }
    return table.text
  }

  private var adviceText: Message {
    let best = recommended
    var text: Message = "recommended: \(best.ranks) rank\(best.ranks == 1 ? "" : "s")"
    if request.outline.gateComputes { text = text + ", \(setting: "gate-placement", best.gate.rawValue)" }
    text =
      text
      + ": \(fixed(best.prediction.step * 1e3, 3)) ms per step, \(fixed(best.speedUp, 2)) times one rank; "
    return text + "more ranks gain less than a twentieth. Routing is taken as even.\n"
  }

  /// The plan, in seconds and bytes.
  public var json: JSONValue {
    let outline = request.outline
    return [
      "version": .string(Version.text), "ranks": .integer(request.ranks),
      "ranks_per_host": JSONValue(request.links.ranksPerHost), "model": .string(outline.model),
      "gate": .string(outline.gateKind.rawValue), "experts": .integer(outline.experts),
      "experts_per_row": .integer(outline.slots), "batch_rows": .integer(outline.batchRows),
      "block_rows": .integer(outline.blockRows), "blocks": .integer(outline.blocks),
      "sources": .array(request.sources.map { .string($0) }),
      "link_within": request.links.within.json, "link_between": request.links.between.json,
      "plans": .array(choices.map(json)), "scaling": .array(scaling.map(shortJSON)),
      "recommended": shortJSON(recommended),
    ]
  }

  private func json(_ choice: Choice) -> JSONValue {
    guard case .object(var members) = shortJSON(choice) else { return .null }
    func phases(_ seconds: [Double]) -> JSONValue {
      .object(zip(Phase.allCases, seconds).map { .init(key: $0.key, value: .number($1)) })
    }
    members += [
      .init(key: "gate_ranks", value: .integer(gateRanks(choice))),
      .init(key: "bytes_dispatched", value: .integer(choice.rowBytes)),
      .init(key: "bytes_combined", value: .integer(choice.answerBytes)),
      .init(
        key: "bytes_returned", value: .integer(request.outline.trainsExperts ? choice.answerBytes : 0)),
      .init(key: "seconds_rank_0", value: phases(choice.prediction.first)),
      .init(key: "seconds_fullest_other", value: phases(choice.prediction.other)),
      .init(
        key: "groups",
        value: .array(
          groups(choice).map {
            [
              "first_rank": .integer($0.ranks.lowerBound), "ranks": .integer($0.ranks.count),
              "experts": .integer($0.experts), "gate": .bool($0.hasGate),
              "parameters": .integer($0.parameters), "memory_bytes": .integer($0.memory),
            ]
          })),
    ]
    return .object(members)
  }

  private func shortJSON(_ choice: Choice) -> JSONValue {
    [
      "gate_placement": .string(choice.gate.rawValue), "ranks": .integer(choice.ranks),
      "experts_on_rank_0": .integer(choice.expertsOnFirst), "step_seconds": .number(choice.prediction.step),
      "samples_per_second": .number(Double(request.outline.batchRows) / choice.prediction.step),
      "speed_up": .number(choice.speedUp), "bound": .number(choice.bound),
    ]
  }

  private func gateRanks(_ choice: Choice) -> Int {
    !request.outline.gateComputes
      ? 0 : choice.gate == .root ? 1 : min(choice.ranks, request.outline.blocks)
  }
}
