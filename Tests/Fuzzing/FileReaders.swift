internal import DataSets
internal import Dist
package import Files
internal import Foundation
internal import Numerics
internal import Planning
internal import Records
internal import Reporting
internal import Training

/// Readers of every ``FileFormat``, each a function of bytes, and small valid files to begin with.
///
/// Not for several threads: a reader's file is the same one every time.
package final class FileReaders {
  private let directory: String
  private var run: String { directory + "/run" }
  /// The metadata of a real checkpoint, without its checksums, which no damage would get past.
  private let metadata: [String: String]
  private let colour: ImageSet

  /// Makes a directory of its own, with a short run in it.
  ///
  /// In memory, where there is a file system in it: readers are faster there.
  package init() throws {
    let memory = "/dev/shm"
    let place = FileManager.default.isWritableFile(atPath: memory) ? memory : NSTemporaryDirectory()
    directory = place + "/moe-dist-readers-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: directory + "/cifar", withIntermediateDirectories: true)
    var configuration = try Configuration(dataset: "synthetic")
    configuration.model = "mnist"
    configuration.experts = 2
    configuration.trainSamples = 100
    configuration.testSamples = 20
    configuration.batchSize = 40
    configuration.epochs = 2
    configuration.runDirectory = directory + "/run"
    _ = try TrainingRun(configuration).train(over: LocalCommunicator())
    metadata = try CheckpointDirectory.open(at: directory + "/run").metadata
    let shape = ImageShape(channels: 3, height: 32, width: 32)
    colour = ImageSet(shape: shape, images: [UInt8](repeating: 0, count: shape.pixels), labels: [0])
    try write(Self.photographs(labels: 2), to: "cifar/test.bin")
    try write(SampleFiles.images, to: "images")
    try write(SampleFiles.labels, to: "labels")
  }

  deinit { try? FileManager.default.removeItem(atPath: directory) }

  // MARK: - Valid files

  /// Valid files of a format.
  package func samples(of format: FileFormat) throws -> [[UInt8]] {
    switch format {
    case .idx: [SampleFiles.images, SampleFiles.labels]
    case .gzip: [SampleFiles.compressedImages, SampleFiles.compressedLabels]
    case .cifar: [Self.photographs(labels: 1), Self.photographs(labels: 2)]
    case .safetensors: [checkpoint]
    case .json: [Array(JSONValue(metadata).text(pretty: true).utf8), Array(SampleFiles.json.utf8)]
    case .yaml: [try content("run/config.yaml"), Array(SampleFiles.yaml.utf8)]
    case .record:
      try FileFormat.recordNames.enumerated().map { number, name in
        [UInt8(number)] + (try content("run/" + name))
      }
    case .costs: [Array(SampleFiles.costs.utf8)]
    }
  }

  /// One small tensor under the metadata of a run.
  private var checkpoint: [UInt8] {
    let tensor: JSONValue = ["dtype": "F32", "shape": [2], "data_offsets": [0, 8]]
    let header: JSONValue = ["__metadata__": JSONValue(metadata), "gate.fc1.bias": tensor]
    let text = Array(header.text().utf8)
    return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
      + [0, 0, 0x80, 0x3F, 0, 0, 0, 0xBF]
  }

  /// Two records of a CIFAR file.
  private static func photographs(labels: Int) -> [UInt8] {
    (0..<2).flatMap { record in
      [UInt8](repeating: UInt8(record), count: labels) + (0..<3072).map { UInt8(truncatingIfNeeded: $0 * 7) }
    }
  }

  // MARK: - Reading

  /// Reads bytes as a file of a format, in all the ways that the program does.
  ///
  /// - Returns: why not; nil: they are one.
  package func read(_ bytes: [UInt8], as format: FileFormat) -> Failure? {
    do {
      switch format {
      case .idx, .gzip: try readPair(bytes)
      case .cifar: try readPhotographs(bytes)
      case .safetensors:
        let path = try write(bytes, to: "checkpoint.safetensors")
        if let failure = try CheckpointVerdict.verify([path], each: { _ in }) { throw failure }
      case .json: try readJSON(bytes)
      case .yaml:
        let path = try write(bytes, to: "settings.yaml")
        let layer = try ConfigurationLayer(file: path)
        let resolved = try Configuration.resolve([layer]).configuration
        // What was read can be written and read again.
        let again = try Configuration.resolve([ConfigurationLayer(yaml: resolved.yaml, file: path)])
          .configuration
        guard again.yaml == resolved.yaml else { throw unequal }
      case .record: try readRecord(bytes)
      case .costs: _ = try CostFile(path: try write(bytes, to: "costs.json"))
      }
      return nil
    } catch {
      return error as? Failure ?? Failure(.internalError, "\(String(describing: error))")
    }
  }

  private var unequal: Failure { Failure(.internalError, "what was read is not what was written") }

  /// Images beside the valid labels, or labels beside the valid images.
  private func readPair(_ bytes: [UInt8]) throws {
    let path = try write(bytes, to: "part")
    let isLabels = Result { try ImageSet.readIDX(images: directory + "/images", labels: path) }
    if case .success(let found) = isLabels {
      guard found.set.count == 4 else { throw unequal }
      return
    }
    let found = try ImageSet.readIDX(images: path, labels: directory + "/labels").set
    guard found.images.count == found.count * found.shape.pixels else { throw unequal }
  }

  /// As images of CIFAR-10, or as the training set of CIFAR-100.
  private func readPhotographs(_ bytes: [UInt8]) throws {
    let path = try write(bytes, to: "cifar/train.bin")
    if let found = try? ImageSet.unlabelled(path, like: colour) {
      guard found.images.count == found.count * 3072 else { throw unequal }
      return
    }
    let options = DataOptions(dataDirectory: directory + "/cifar", environment: [:])
    let found = try DataSetRegistry.source(named: "cifar-100").load(options)
    guard found.train.images.count == found.train.count * 3072, found.train.labels.allSatisfy({ $0 < 100 })
    else { throw unequal }
  }

  private func readJSON(_ bytes: [UInt8]) throws {
    let value: JSONValue
    do { value = try JSONValue(parsing: bytes) } catch {
      throw Failure(.badData, "\(String(describing: error))")
    }
    let text = value.text()
    guard try JSONValue(parsing: text).text() == text else { throw unequal }
  }

  /// A report of the run with one of its files replaced.
  private func readRecord(_ bytes: [UInt8]) throws {
    guard let first = bytes.first else { return }
    let name = "run/" + FileFormat.recordNames[Int(first) % FileFormat.recordNames.count]
    let valid = try content(name)
    try write(Array(bytes.dropFirst()), to: name)
    defer { _ = try? write(valid, to: name) }
    try Report.write(runs: [run], to: directory + "/report.html", figures: nil, force: true)
    _ = try CheckpointListing(of: run)
  }

  // MARK: - Files

  @discardableResult
  private func write(_ bytes: [UInt8], to name: String) throws -> String {
    let path = directory + "/" + name
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  private func content(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: directory + "/" + name)))
  }
}
