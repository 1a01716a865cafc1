import Files
import Foundation
import FoundationXML
import Records
import Reporting
import TestSupport

/// A document read by the system's XML parser: elements in document order.
struct ParsedXML {
  struct Element {
    var name: String
    var attributes: [String: String]
    var parent: Int?
    var text = ""
  }

  struct Malformed: Error, CustomStringConvertible {
    let description: String
  }

  let elements: [Element]

  /// - Throws: ``Malformed`` with the line.
  init(_ text: String) throws {
    let listener = Listener()
    let parser = XMLParser(data: Data(text.utf8))
    parser.delegate = listener
    guard parser.parse() else {
      throw Malformed(description: "line \(parser.lineNumber): \(String(describing: parser.parserError))")
    }
    elements = listener.elements
  }

  func named(_ name: String) -> [Element] { elements.filter { $0.name == name } }

  /// All text outside style sheets.
  var text: String { elements.filter { $0.name != "style" }.map(\.text).joined(separator: "\n") }

  private final class Listener: NSObject, XMLParserDelegate {
    var elements: [Element] = []
    private var open: [Int] = []

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
      attributes: [String: String]
    ) {
      elements.append(Element(name: name, attributes: attributes, parent: open.last))
      open.append(elements.count - 1)
    }

    func parser(
      _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
    ) {
      open.removeLast()
    }

    func parser(_ parser: XMLParser, foundCharacters text: String) {
      if let last = open.last { elements[last].text += text }
    }
  }
}

/// A run directory with made-up content in a directory of its own, which goes with the object.
final class FakeRun {
  let parent: String
  let path: String

  init(name: String = "run") throws {
    parent = NSTemporaryDirectory() + "moe-report-\(UUID().uuidString)"
    path = parent + "/" + name
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: parent) }

  func write(_ name: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path + "/" + name))
  }

  func read(_ name: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)), as: UTF8.self)
  }

  /// Everything that a run of three experts and four classes leaves: expert 0 takes a and b, expert 1 takes d and three
  /// quarters of c, expert 2 nothing.
  func fill(
    classNames: [String] = ["a", "b", "c", "d"], configuration: String = FakeRun.configuration,
    command: [String] = ["moe-dist", "train"], host: String = "node", reason: String? = nil,
    state: String = "finished"
  ) throws {
    try write("config.yaml", configuration)
    let session = RunSession(
      started: "2024-05-17T10:00:00Z", command: command, versions: ["moe-dist": "1"], buildFlags: "AVX2",
      hosts: [host, host], placement: [0, 1, 1], levels: ["v3"], blasKernels: ["Haswell"],
      dataFingerprints: ["test": "00ff"],
      classNames: classNames, environment: [:])
    try write("run.json", JSONValue.array([session.json]).text(pretty: true))
    var lines: [MetricsRecord] = []
    for epoch in 1...3 {
      for split in ["train", "validation"] { lines.append(record(epoch, split)) }
    }
    lines.append(record(3, "test"))
    try write("metrics.jsonl", lines.map(\.line).joined())
    try write(
      "expert_class.csv", "expert,class_0,class_1,class_2,class_3\n0,40,40,10,0\n1,0,0,30,40\n2,0,0,0,0\n")
    try write(
      "expert_class_soft.csv",
      "expert,class_0,class_1,class_2,class_3\n0,38.5,39,11,1\n1,1,0.5,28.5,38.5\n2,0.5,0.5,0.5,0.5\n")
    try write(
      "expert_class_correct.csv",
      "expert,class_0,class_1,class_2,class_3\n0,38,36,4,0\n1,0,0,27,39\n2,0,0,0,0\n")
    // 27 of 160 samples are wrong, the error of the test line.
    try write(
      "confusion.csv",
      "true,predicted_0,predicted_1,predicted_2,predicted_3\n0,38,2,0,0\n1,3,36,1,0\n2,0,5,31,4\n3,2,0,10,28\n"
    )
    let status = RunStatus(
      state: RunState(rawValue: state) ?? .finished, epoch: 3, step: 12, reason: reason, stepsExecuted: 12)
    try write("status.json", status.json.text())
    var timing = TimingTable(
      ranks: (0..<2).map {
        TimingTable.RankTimes(
          rank: $0, host: host, seconds: Phase.allCases.map { _ in 0.5 }, loopSeconds: 10, peakMemory: 1 << 20
        )
      }, steps: 12, samples: 1200)
    timing.stepSeconds = [0.1]
    timing.prediction = .init(phases: Phase.allCases.map { _ in 0 }, step: 0.09)
    try write(
      "summary.json",
      RunSummary(status: status, metrics: [], timing: timing, account: Self.account, runDirectory: path).json
        .text())
  }

  static let configuration = "dataset: idx\nexperts: 3\ngate: softmax\ncombine: top-k\ntop-k: 1\nseed: 7\n"

  /// 1 200 rows: a quarter of the dense rows were computed, and the gate cost as much as dense experts.
  static let account: ComputeAccount = {
    var account = counted
    account.traffic = RankTraffic(
      rowsDispatched: [[400, 300], [200, 250]], bytesDispatched: [[0, 3000], [2000, 0]],
      rowsCombined: [[350, 150], [250, 150]], bytesCombined: [[0, 150], [250, 0]])
    return account
  }()

  private static let counted = ComputeAccount(
    rows: 1200,
    experts: [
      ComputeAccount.Expert(
        expert: 0, owner: 0, rowsSelected: 600, rowsComputed: 600, forwardFlops: 6000, backwardFlops: 12000),
      ComputeAccount.Expert(
        expert: 1, owner: 1, rowsSelected: 300, rowsComputed: 300, forwardFlops: 3000, backwardFlops: 6000),
      ComputeAccount.Expert(
        expert: 2, owner: 1, rowsSelected: 0, rowsComputed: 0, forwardFlops: 0, backwardFlops: 0),
    ], gateForwardFlops: 36000, gateBackwardFlops: 72000, denseExpertFlops: 108_000, bytesDispatched: 5000,
    bytesCombined: 400, bytesReturned: 400)

  private func record(_ epoch: Int, _ split: String) -> MetricsRecord {
    var record = MetricsRecord(epoch: epoch, step: 4 * epoch, split: split)
    record.loss = 1 / Double(epoch)
    record.crossEntropy = 1 / Double(epoch)
    record.error = 0.50625 / Double(epoch)
    record.mutualInformation = 0.5
    record.mutualInformationTrue = 0.75
    record.sampleEntropy = 1
    record.usageEntropy = 1.25
    record.taskEntropy = 0.3
    record.expertShare = [0.5625, 0.4375, 0]
    record.deadExperts = 1
    return record
  }

  /// The page, written anew.
  func page() throws -> String {
    try Report.write(runs: [path], to: path + "/report.html", figures: path + "/figures")
    return try read("report.html")
  }

  func figures() throws -> [String: String] {
    var found: [String: String] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: path + "/figures") {
      found[name] = try read("figures/" + name)
    }
    return found
  }
}
