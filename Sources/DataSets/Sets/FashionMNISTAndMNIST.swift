internal import Files
internal import Numerics

/// Twelve classes of two data sets: FashionMNIST's classes 0–5 as 0–5, MNIST's digits 4–9 as 6–11
/// (method: arXiv 2302.14703, the preliminary experiment). FashionMNIST's samples come first, each set in file order.
struct FashionMNISTAndMNIST: DataSetSource {
  let name = "fashion-mnist+mnist"
  let summary = "28 × 28 pictures, 12 classes: FashionMNIST's 0–5 and MNIST's digits 4–9, 71 246 + 11 843"
  let publishedSize: DataSetSize? = DataSetSize(
    shape: ImageShape(channels: 1, height: 28, width: 28), classes: 12, trainingSamples: 71_246,
    testSamples: 11_843)
  let defaults = DataSetDefaults(
    experts: 6, model: "combined", epochs: 20, batchSize: 512, learningRate: 1e-3)
  let advice: Message =
    "it needs the files of fashion-mnist and of mnist, each in a folder of that name in one of these places; run 'moe-dist data fetch fashion-mnist mnist'"

  func search(_ options: DataOptions) -> DataSetSearch? {
    let options = folders(options)
    return DataSetSearch(all: [
      DataSetSearch(name: FashionMNIST().name, options: options),
      DataSetSearch(name: MNIST().name, options: options),
    ])
  }

  func read(_ options: DataOptions) throws(Failure) -> DataSet {
    guard let search = search(options), search.directory != nil else {
      throw DataSetSearch(all: missing(options)).notFound(name, advice: advice)
    }
    let clothes = try FashionMNIST().read(folders(options))
    let digits = try MNIST().read(folders(options))
    let clothesMap: [UInt8?] = (0..<10).map { $0 < 6 ? $0 : nil }
    let digitsMap: [UInt8?] = (0..<10).map { $0 < 4 ? nil : $0 + 2 }
    let train = clothes.train.joined(with: digits.train, classes: clothesMap, otherClasses: digitsMap)
    let test = clothes.test.joined(with: digits.test, classes: clothesMap, otherClasses: digitsMap)
    // The authors' figures for this set, not those of its pixels.
    let pixels = try normalisation(options, published: ([0.5], [0.5]), of: train)
    var fingerprints: [String: String] = [:]
    for data in [clothes, digits] {
      for (part, sum) in data.fingerprints { fingerprints["\(data.name)-\(part)"] = sum }
    }
    return DataSet(
      name: name, classes: 12, classNames: Array(clothes.classNames[..<6] + digits.classNames[4...]),
      train: train, test: test, mean: pixels.mean, standardDeviation: pixels.standardDeviation,
      fingerprints: fingerprints, location: search.directory ?? "",
      notes: clothes.notes + digits.notes + pixels.notes)
  }

  /// One directory cannot hold the files of both: they have the same names.
  private func folders(_ options: DataOptions) -> DataOptions {
    var options = options
    options.searchesFoldersOnly = true
    options.mean = nil
    options.standardDeviation = nil
    return options
  }

  private func missing(_ options: DataOptions) -> [DataSetSearch] {
    [FashionMNIST().name, MNIST().name]
      .map { DataSetSearch(name: $0, options: folders(options)) }
      .filter { $0.directory == nil }
  }
}
