internal import Records
internal import Training

extension RunSection {
  // MARK: - What it cost

  /// What the experts computed, by expert, rank and in all.
  func work(_ figures: RunFigures) -> String {
    guard let account = run.summary?.account, account.rows > 0 else { return "" }
    let all = account.bytesDispatched + account.bytesCombined + account.bytesReturned
    let moved =
      all == 0
      ? "Nothing moved between ranks."
      : "Moved between ranks: \(bytesText(account.bytesDispatched)) of samples, "
        + "\(bytesText(account.bytesCombined)) of answers, \(bytesText(account.bytesReturned)) of gradients."
    var text = section(
      account.experts.count > 1 ? "Conditional computation" : "Computation",
      "The training steps of the last process: \(countText(account.rows)) rows. \(moved)")
    let ofRanks = RankMatrix(account)?.figures ?? []
    text += grid([figures.computation, figures.flops].compactMap { $0 } + ofRanks)
    var table = HTMLTable(
      caption:
        "Rows and FLOPs (2 per multiply-add of convolutions and dense layers) by expert, rank and in all",
      heading: ["", "rank", "rows selected", "rows computed", "forward FLOPs", "backward FLOPs", "of dense"])
    func row(_ name: String, _ rank: String, _ parts: [ComputeAccount.Expert]) {
      let forward = parts.reduce(0) { $0 + $1.forwardFlops }
      let backward = parts.reduce(0) { $0 + $1.backwardFlops }
      let dense = Double(account.denseExpertFlops) * Double(parts.count) / Double(account.experts.count)
      table.rows.append([
        name, rank, countText(parts.reduce(0) { $0 + $1.rowsSelected }),
        countText(parts.reduce(0) { $0 + $1.rowsComputed }), withPrefix(Double(forward)),
        withPrefix(Double(backward)), dense > 0 ? percentText(Double(forward + backward) / dense) : "–",
      ])
    }
    let shown = ExpertClassMaps.shownExperts(account.experts.map { Double($0.rowsComputed) }, columns: 100)
    for index in shown {
      let expert = account.experts[index]
      row("expert \(expert.expert)", String(expert.owner), [expert])
    }
    let byRank = Dictionary(grouping: account.experts, by: \.owner)
    if byRank.count > 1 {
      for owner in byRank.keys.sorted() { row("all of rank \(owner)", String(owner), byRank[owner] ?? []) }
    }
    if account.experts.count > 1 { row("all experts", "", account.experts) }
    if account.gateFlops > 0 {
      table.rows.append([
        "gate", "", "", countText(account.rows), withPrefix(Double(account.gateForwardFlops)),
        withPrefix(Double(account.gateBackwardFlops)), "",
      ])
    }
    return text + table.html
  }

  func time(_ figures: RunFigures) -> String {
    guard let timing = run.summary?.timing, let figure = figures.time else { return "" }
    let rate = countText(Int(min(timing.samplesPerSecond, 1e15)))
    let memory = timing.ranks.map { "rank \($0.rank) on \($0.host) \(bytesText($0.peakMemory))" }
    func milliseconds(_ seconds: Double) -> String { "\(fixed(seconds * 1e3, 2)) ms" }
    var step = ""
    if let measured = timing.stepSeconds {
      step = "A step on rank 0 took \(milliseconds(measured)) (median)"
      step += timing.predictedStepSeconds.map { "; the cost model predicted \(milliseconds($0))." } ?? "."
      step += " "
    }
    return section(
      "Where the time went",
      "The last process: \(RunFindings.count(timing.steps, "step")), \(countText(timing.samples)) samples in "
        + "\(durationText(timing.loopSeconds)), \(rate) samples/s over \(RunFindings.count(timing.ranks.count, "rank")). "
        + step + "Peak resident memory: \(memory.joined(separator: ", ")).")
      + grid([figure])
  }

  // MARK: - How to repeat it

  var repetition: String {
    var text = section("Repeat this run")
    text += "<p>The same bytes come out for every number of ranks:</p>\n"
    text +=
      Markup.element(
        "pre", [:], Markup.escaped("moe-dist train --config " + shellQuoted(run.path + "/config.yaml")))
      + "\n"
    var table = HTMLTable(caption: "How it was run", heading: ["what", "value"], wordColumns: [0, 1])
    for (number, session) in run.sessions.enumerated() {
      let which = run.sessions.count == 1 ? "" : " \(number + 1)"
      func add(_ name: String, _ value: String?) {
        if let value, !value.isEmpty { table.rows.append([name, value]) }
      }
      add("command\(which)", session.command.map(shellQuoted).joined(separator: " "))
      add("started\(which)", session.started)
      add("continued from\(which)", session.resumedFrom)
      add("ranks\(which)", "\(session.hosts.count) on \(unique(session.hosts).joined(separator: ", "))")
      guard number == run.sessions.count - 1 else { continue }
      add("versions", session.versions.map { "\($0.name) \($0.value)" }.joined(separator: "; "))
      add("commit", session.gitCommit)
      add("build", session.buildFlags)
      add("processor level", unique(session.levels).joined(separator: ", "))
      add("OpenBLAS kernel", unique(session.blasKernels).joined(separator: ", "))
      for print in session.fingerprints { add("SHA-256 of \(print.name)", print.value) }
    }
    if !table.rows.isEmpty { text += table.html }
    var settings = HTMLTable(
      caption: "Configuration (config.yaml)", heading: ["setting", "value"], wordColumns: [0, 1])
    settings.rows = run.settings.map { [$0.key, $0.text] }
    return text + settings.html
  }

  private func unique(_ values: [String]) -> [String] {
    var seen: Set<String> = []
    return values.filter { seen.insert($0).inserted }
  }
}

/// A word as a shell takes it for one word.
package func shellQuoted(_ word: String) -> String {
  let plain = word.unicodeScalars.allSatisfy { scalar in
    switch scalar {
    case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".", "/", ",", "+", ":", "=", "@", "%": true
    default: false
    }
  }
  if plain, !word.isEmpty { return word }
  return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
}
