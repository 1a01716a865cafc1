internal import MoE
internal import Numerics
internal import Records
internal import Training

extension BenchmarkResult {
  /// The tables.
  public var text: String {
    var text = heading
    if let peak { text += productsText(peak) + kernelsText }
    if !exchange.isEmpty { text += exchangeText }
    if let comparison { text += comparisonText(comparison) }
    if let step { text += stepText(step) }
    if let law { text += lawText(law) }
    if !workloads.isEmpty { text += workloadsText }
    for note in notes { text += "note: \(note)\n" }
    return text
  }

  private var heading: String {
    var text = "moe-dist \(Version.text), level \(place.level); "
    let hosts = Dictionary(grouping: place.hosts.indices) { place.hosts[$0] }.sorted {
      $0.value[0] < $1.value[0]
    }
    text += hosts.map { host, ranks in
      "host \(host): \(ranks.count) rank\(ranks.count == 1 ? "" : "s") on \(place.cores[ranks[0]]) cores, bound to "
        + ranks.map { place.bindings[$0] }.joined(separator: " | ")
    }.joined(separator: "; ")
    text += "; \(outline.threads) thread\(outline.threads == 1 ? "" : "s") per rank\n"
    text += place.versions.sorted { $0.key < $1.key }.filter { $0.key != "moe-dist" }
      .map { "\($0.key) \($0.value)" }.joined(separator: "; ")
    text += "; OpenBLAS kernel \(Set(place.kernels).sorted().joined(separator: " and "))\n"
    text += "model \(outline.model), gate \(outline.gateKind.rawValue) (\(outline.gatePlacement.rawValue)), "
    text += "\(outline.experts) experts, "
    text += "\(outline.slots) per row, batch \(outline.batchRows), blocks of \(outline.blockRows)\n"
    if place.isOversubscribed {
      text +=
        "OVERSUBSCRIBED: more ranks than cores; these times are those of ranks that wait for each other's core, "
        + "not of scaling\n"
    }
    return text + "\n"
  }

  private func productsText(_ peak: Double) -> String {
    var table = TextTable(
      heading: [
        "products", "layer", "pass", "shape", "own GFLOP/s", "of peak", "OpenBLAS GFLOP/s", "of peak",
      ])
    for row in products {
      func cells(_ found: MeasuredRate?) -> [String] {
        found.map { [fixed($0.rate / 1e9, 1), fixed(100 * $0.share, 0) + " %"] } ?? ["-", "-"]
      }
      table.add([row.network, row.layer, row.pass, row.shape] + cells(row.own) + cells(row.openBLAS))
    }
    return "peak of the core at level \(place.level), fused multiply-adds on registers: "
      + "\(fixed(peak / 1e9, 1)) GFLOP/s\n"
      + table.text
      + "shapes are outputs × inputs × rows; convolutions outputs × inputs · taps × positions, per image; shares are of the peak "
      + "at the same moment\n\n"
  }

  private var kernelsText: String {
    var table = TextTable(heading: ["kernels", "ms", "GFLOP/s", "GB/s", "of the bound", "bound by"])
    for row in kernels {
      table.add([
        row.kernel, fixed(row.seconds * 1e3, 3), fixed(row.measured.rate / 1e9, 1),
        fixed(row.bytes / row.seconds / 1e9, 1), fixed(100 * row.measured.share, 0) + " %",
        row.isBoundByMemory ? "memory" : "FLOPs",
      ])
    }
    return table.text
      + "bound: the smaller of the peak and of FLOPs per byte times the bandwidth of memory of that size\n\n"
  }

  private var exchangeText: String {
    var table = TextTable(heading: ["all-to-all, bytes per pair", "µs (p10 … p90)", "GB/s sent per rank"])
    for row in exchange {
      table.add([
        String(row.bytes), row.seconds.text(scale: 1e6, digits: 2), fixed(row.bandwidth / 1e9, 2),
      ])
    }
    var text = table.text
    for piece in messages?.pieces ?? [] {
      let limit = piece.limit == .max ? "above" : "to \(piece.limit) B"
      let rate = piece.secondsPerByte > 0 ? fixed(1e-9 / piece.secondsPerByte, 2) + " GB/s" : "-"
      text += "fitted \(limit): α \(fixed(piece.latency * 1e6, 2)) µs, 1/β \(rate)\n"
    }
    return text + "slowest rank; nothing that a rank sends to itself\n\n"
  }

  private func comparisonText(_ found: ExchangeBenchmark.Comparison) -> String {
    var table = TextTable(heading: ["exchange", "µs (p10 … p90)"])
    for (name, spread) in [
      ("counts", found.counts), ("dispatch", found.dispatch), ("combine", found.combine),
      ("all-to-all of dispatch's bytes", found.rawDispatch),
      ("all-to-all of combine's bytes", found.rawCombine),
    ] {
      table.add([name, spread.text(scale: 1e6, digits: 1)])
    }
    return table.text
      + "dispatch + combine take \(fixed(found.ratio, 2)) times the all-to-all of the same bytes "
      + "(\(bytesText(found.bytes)) leave the busiest rank)\n\n"
  }

  private func stepText(_ step: StepBenchmark) -> String {
    var table = TextTable(heading: ["step by phase", "slowest rank, ms (p10 … p90)", "mean ms", "share"])
    for row in step.rows {
      table.add([
        row.phase.rawValue, row.worst.text(scale: 1e3, digits: 3), fixed(row.mean * 1e3, 3),
        fixed(100 * row.share, 1) + " %",
      ])
    }
    table.add(["step", step.step.text(scale: 1e3, digits: 3), "", "100.0 %"])
    var text = table.text
    text += "\(step.steps) steps of \(step.batchRows) rows: \(fixed(step.samplesPerSecond, 0)) samples/s; "
    text +=
      "slowest rank mostly \(step.slowestRank); outside the named phases at most \(fixed(100 * step.outside, 1)) %\n"
    let bound = outline.flopLoad.bound(experts: outline.experts, ranks: place.hosts.count)
    if place.hosts.count > 1 {
      text += "a gate on rank 0 bounds the speed-up over one rank to \(fixed(bound, 2)) (FLOPs)\n"
    }
    return text + "\n"
  }

  private func lawText(_ law: LawBenchmark) -> String {
    func percent(_ ratio: Double) -> String { fixed(100 * (ratio - 1), 1) }
    return "the same bits for any number of ranks, with a replicated gate: step "
      + "\(fixed(law.tree.median * 1e3, 3)) ms, \(fixed(law.plain.median * 1e3, 3)) ms with one sum per rank and "
      + "MPI_Allreduce: \(percent(law.ratio.median)) % more (\(percent(law.ratio.p10)) … "
      + "\(percent(law.ratio.p90)) %), in turn\n\n"
  }

  private var workloadsText: String {
    var table = TextTable(
      heading: ["workload, one expert per row", "step ms (p10 … p90)", "against balanced", "fullest/mean"]
        + WorkloadBenchmark.phases.map(\.rawValue))
    let balanced = workloads.first { $0.workload == .balanced }?.step.median
    for row in workloads {
      table.add(
        [
          row.workload.rawValue, row.step.text(scale: 1e3, digits: 3),
          balanced.map { fixed(row.step.median / $0, 2) + "×" } ?? "-", fixed(row.imbalance, 2),
        ] + row.phases.map { fixed($0 * 1e3, 3) })
    }
    return table.text
      + "exchange and experts alone, routing forced, slowest rank; phases are medians in ms\n\n"
  }
}
