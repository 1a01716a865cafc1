internal import Files

/// CIFAR-10: 50 000 + 10 000 photographs (Krizhevsky 2009).
struct CIFAR10: DataSetSource {
  let name = "cifar-10"
  let summary = "32 × 32 × 3 photographs, 10 classes, 50 000 + 10 000, CIFAR binary"
  let publishedSize: DataSetSize? = DataSetSize(
    shape: CIFARFormat.shape, classes: 10, trainingSamples: 50_000, testSamples: 10_000)
  let defaults = DataSetDefaults(
    experts: 5, model: "cifar-small", epochs: 40, batchSize: 256, learningRate: 1e-3)
  let augmentation: Augmentation? = Augmentation(padding: 4)
  let advice: Message =
    "run 'moe-dist data fetch cifar-10', put the files of cifar-10-binary.tar.gz into one of these directories, or use \(setting: "dataset") synthetic-rgb"
  var publication: Publication? {
    .cifar(
      "cifar-10-binary.tar.gz", size: 170_052_171,
      checksum: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", members: files.names)
  }
  private let files = CIFARFiles(
    format: .cifar10, folder: "cifar-10-batches-bin", train: (1...5).map { "data_batch_\($0).bin" },
    test: "test_batch.bin")

  func search(_ options: DataOptions) -> DataSetSearch? { files.search(name, options) }

  func read(_ options: DataOptions) throws(Failure) -> DataSet {
    try files.read(
      self, options, published: ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]),
      classNames: [
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
      ])
  }
}

/// CIFAR-100: 50 000 + 10 000 photographs of 100 classes in 20 coarse classes (Krizhevsky 2009).
struct CIFAR100: DataSetSource {
  let name = "cifar-100"
  let summary = "32 × 32 × 3 photographs, 100 classes in 20 coarse ones, 50 000 + 10 000, CIFAR binary"
  let publishedSize: DataSetSize? = DataSetSize(
    shape: CIFARFormat.shape, classes: 100, trainingSamples: 50_000, testSamples: 10_000)
  let defaults = DataSetDefaults(
    experts: 20, model: "cifar", epochs: 40, batchSize: 256, learningRate: 1e-3)
  let augmentation: Augmentation? = Augmentation(padding: 4)
  let advice: Message =
    "run 'moe-dist data fetch cifar-100', put the files of cifar-100-binary.tar.gz into one of these directories, or use \(setting: "dataset") synthetic-rgb"
  var publication: Publication? {
    .cifar(
      "cifar-100-binary.tar.gz", size: 168_513_733,
      checksum: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec", members: files.names)
  }
  private let files = CIFARFiles(
    format: .cifar100, folder: "cifar-100-binary", train: ["train.bin"], test: "test.bin",
    fineNames: "fine_label_names.txt", coarseNames: "coarse_label_names.txt")

  func search(_ options: DataOptions) -> DataSetSearch? { files.search(name, options) }

  func read(_ options: DataOptions) throws(Failure) -> DataSet {
    try files.read(
      self, options, published: ([0.5074, 0.4867, 0.4411], [0.2011, 0.1987, 0.2025]), classNames: nil)
  }
}

/// The files of a CIFAR data set.
struct CIFARFiles: Sendable {
  let format: CIFARFormat
  /// What the published archive unpacks to.
  let folder: String
  let train: [String]
  let test: String
  /// Files of names, which may be absent.
  var fineNames: String?
  var coarseNames: String?

  /// All of them, as they lie in the archive.
  var names: [String] { train + [test] + [fineNames, coarseNames].compactMap { $0 } }

  func search(_ name: String, _ options: DataOptions) -> DataSetSearch {
    let names = [fineNames, coarseNames].compactMap { $0 }
    return DataSetSearch(
      name: name, options: options,
      files: (train + [test]).map { DataFile(names: [$0]) }
        + names.map { DataFile(names: [$0], isOptional: true) },
      folders: [folder])
  }

  /// - Parameter classNames: nil: from their file, or numbers where there is none.
  func read(
    _ source: some DataSetSource, _ options: DataOptions,
    published: (mean: [Double], standardDeviation: [Double]), classNames: [String]?
  ) throws(Failure) -> DataSet {
    let search = search(source.name, options)
    guard let directory = search.directory else {
      throw search.notFound(source.name, advice: source.advice)
    }
    var fingerprints: [String: String] = [:]
    func records(_ files: [String]) throws(Failure) -> ImageSet {
      var records = CIFARRecords(format)
      for file in files {
        guard let path = search.paths[file] else { preconditionFailure("\(file) was found") }
        fingerprints[String(file.dropLast(".bin".count))] = try records.add(path: path)
      }
      return records.finish()
    }
    let trainSet = try records(train)
    let testSet = try records([test])
    let classes = format.labels[format.labels.count - 1].classes
    func names(_ file: String?, _ count: Int) throws(Failure) -> [String] {
      guard let file, let path = search.paths[file] else { return (0..<count).map { String($0) } }
      return try readLabelNames(path, count: count)
    }
    var coarse = CoarseClasses(classes: classes)
    for (set, file) in [(trainSet, train[0]), (testSet, test)] {
      try coarse.add(set, path: search.paths[file] ?? file, recordBytes: format.recordBytes)
    }
    let coarseLabels = coarse.ofClass == nil ? nil : try names(coarseNames, format.labels[0].classes)
    let isIncomplete = format.hasCoarse && coarse.ofClass == nil
    let labelNames = if let classNames { classNames } else { try names(fineNames, classes) }
    let pixels = try source.normalisation(options, published: published, of: trainSet)
    return DataSet(
      name: source.name, classes: classes, classNames: labelNames,
      train: trainSet, test: testSet, mean: pixels.mean, standardDeviation: pixels.standardDeviation,
      fingerprints: fingerprints, location: directory,
      notes: search.notes(source.name, options: options)
        + (isIncomplete
          ? ["\(source.name): not every class has a record, so coarse classes are not known"] : [])
        + pixels.notes,
      coarseNames: coarseLabels, coarseOfClass: coarse.ofClass)
  }
}
