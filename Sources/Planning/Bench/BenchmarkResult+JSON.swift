public import Files
internal import KernelInterface
internal import MoE
internal import Numerics
internal import Records
internal import Training

extension BenchmarkResult {
  /// All figures, in seconds, bytes and FLOP/s.
  public var json: JSONValue {
    var members: [JSONValue.Member] = [
      .init(key: "place", value: placeJSON),
      .init(key: "oversubscribed", value: .bool(place.isOversubscribed)),
      .init(
        key: "model",
        value: [
          "name": .string(outline.model), "gate": .string(outline.gateKind.rawValue),
          "experts": .integer(outline.experts), "experts_per_row": .integer(outline.slots),
          "batch_rows": .integer(outline.batchRows), "block_rows": .integer(outline.blockRows),
        ]), .init(key: "notes", value: .array(notes.map { .string($0) })),
    ]
    if let peak {
      members.append(.init(key: "peak_flops_per_second", value: .number(peak)))
      members.append(.init(key: "products", value: .array(products.map(\.json))))
      members.append(.init(key: "kernels", value: .array(kernels.map(\.json))))
    }
    if !exchange.isEmpty {
      members.append(
        .init(
          key: "all_to_all",
          value: .array(
            exchange.map {
              [
                "bytes": .integer($0.bytes), "seconds": $0.seconds.json,
                "bytes_per_second": .number($0.bandwidth),
              ]
            })))
    }
    if let messages { members.append(.init(key: "message_cost", value: messages.json)) }
    if let comparison { members.append(.init(key: "exchange", value: comparison.json)) }
    if let law {
      members.append(
        .init(
          key: "law",
          value: [
            "tree_seconds": law.tree.json, "plain_seconds": law.plain.json, "ratio": law.ratio.json,
          ]))
    }
    if let step { members.append(.init(key: "step", value: step.json)) }
    if !workloads.isEmpty {
      members.append(.init(key: "workloads", value: .array(workloads.map(\.json))))
    }
    return .object(members)
  }

  private var placeJSON: JSONValue {
    [
      "hosts": .array(place.hosts.map { .string($0) }), "ranks": .integer(place.hosts.count),
      "cores": .array(place.cores.map { .integer($0) }),
      "bindings": .array(place.bindings.map { .string($0) }), "threads": .integer(outline.threads),
      "blas_kernels": .array(place.kernels.map { .string($0) }), "versions": JSONValue(place.versions),
      "level": .string(place.level),
    ]
  }
}

extension ProductBenchmark.Row {
  var json: JSONValue {
    [
      "network": .string(network), "layer": .string(layer), "pass": .string(pass), "shape": .string(shape),
      "flops": .number(flops), "flops_per_second": .number(own.rate), "share_of_peak": .number(own.share),
      "openblas_flops_per_second": JSONValue(openBLAS?.rate),
      "openblas_share_of_peak": JSONValue(openBLAS?.share),
    ]
  }
}

extension KernelBenchmark.Row {
  var json: JSONValue {
    [
      "kernel": .string(kernel), "seconds": .number(seconds), "flops": .number(flops),
      "bytes": .number(bytes),
      "share_of_bound": .number(measured.share), "bound": .string(isBoundByMemory ? "memory" : "flops"),
    ]
  }
}

extension ExchangeBenchmark.Comparison {
  var json: JSONValue {
    [
      "counts_seconds": counts.json, "dispatch_seconds": dispatch.json, "combine_seconds": combine.json,
      "raw_dispatch_seconds": rawDispatch.json, "raw_combine_seconds": rawCombine.json,
      "ratio": .number(ratio), "bytes": .integer(bytes),
    ]
  }
}

extension StepBenchmark {
  var json: JSONValue {
    [
      "seconds": step.json, "samples_per_second": .number(samplesPerSecond), "steps": .integer(steps),
      "slowest_rank": .integer(slowestRank), "share_outside_phases": .number(outside),
      "owners": .array(owners.map { .integer($0) }),
      "phases": .array(
        rows.map {
          [
            "phase": .string($0.phase.key), "worst_seconds": $0.worst.json, "mean_seconds": .number($0.mean),
            "share": .number($0.share),
          ]
        }),
    ]
  }
}

extension WorkloadBenchmark.Row {
  var json: JSONValue {
    [
      "workload": .string(workload.rawValue), "step_seconds": step.json, "imbalance": .number(imbalance),
      "phase_seconds": .object(
        zip(WorkloadBenchmark.phases, phases).map { .init(key: $0.key, value: .number($1)) }),
    ]
  }
}
