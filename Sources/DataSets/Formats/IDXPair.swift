internal import Files
internal import Numerics

/// Any pairs of IDX files: sizes and classes from the files, mean and deviation computed or given.
struct IDXPair: DataSetSource {
  let name = "idx"
  let summary = "any IDX image and label files; sizes and classes from the files"
  let defaults = DataSetDefaults(experts: 5, model: "mnist", epochs: 20, batchSize: 512, learningRate: 1e-3)

  let advice: Message =
    "name a directory with the four files by \(setting: "data-dir"), or each file by itself"

  func read(_ options: DataOptions) throws(Failure) -> DataSet { try readIDX(options, facts: nil) }
}

/// What is known of a published data set.
struct IDXFacts {
  let classNames: [String]
  let shape: ImageShape
  let mean: Double
  let standardDeviation: Double
}

extension DataSetSource {
  /// Finds, reads and checks the four IDX files of this data set.
  /// - Parameters:
  ///   - facts: what the files must agree with; nil: classes are the largest training label + 1, the normalisation
  ///     is computed from the training images.
  func readIDX(_ options: DataOptions, facts: IDXFacts?) throws(Failure) -> DataSet {
    let (files, location, searchNotes) = try findFiles(options)
    let train = try ImageSet.readIDX(
      images: files[.trainImages]!, labels: files[.trainLabels]!, classes: facts?.classNames.count ?? 256,
      shape: facts?.shape)
    let classes = facts?.classNames.count ?? Int(train.set.labels.max()!) + 1
    let test = try ImageSet.readIDX(
      images: files[.testImages]!, labels: files[.testLabels]!, classes: classes, shape: train.set.shape)
    let fingerprints: [DataPart: String] = [
      .trainImages: train.imageFingerprint, .trainLabels: train.labelFingerprint,
      .testImages: test.imageFingerprint, .testLabels: test.labelFingerprint,
    ]
    let pixels = try normalisation(
      options, published: facts.map { ([$0.mean], [$0.standardDeviation]) }, of: train.set)
    return DataSet(
      name: name, classes: classes, classNames: facts?.classNames ?? (0..<classes).map { String($0) },
      train: train.set, test: test.set, mean: pixels.mean, standardDeviation: pixels.standardDeviation,
      fingerprints: Dictionary(
        uniqueKeysWithValues: DataPart.allCases.map { ($0.rawValue, fingerprints[$0]!) }),
      location: location,
      notes: searchNotes + fingerprintNotes(fingerprints, files: files) + pixels.notes
        + (facts == nil ? contentNotes(train.set, classes: classes, files: files) : []))
  }

  /// What is unusual of files of which nothing is known: classes that do not occur, and images on their side.
  private func contentNotes(_ set: ImageSet, classes: Int, files: [DataPart: String]) -> [Message] {
    var notes: [Message] = []
    let present = Set(set.classesPresent)
    let absent = (0..<classes).filter { !present.contains($0) }
    if let first = absent.first {
      let which = absent.count == 1 ? "\(first)" : "\(first) and \(absent.count - 1) more"
      notes.append(
        "\(name): labels go up to \(classes - 1), so the model has \(classes) classes; no training image has label \(which)"
      )
    }
    let names = files.values.map { pathParts(of: $0).name }
    if names.contains(where: { $0.hasPrefix("emnist-") && $0.contains("images") }) {
      notes.append(
        "\(name): EMNIST is published with rows and columns exchanged, and is read as it is; give predict images of the same kind"
      )
    }
    return notes
  }

  private func findFiles(
    _ options: DataOptions
  ) throws(Failure) -> (files: [DataPart: String], location: String, notes: [Message]) {
    if !options.files.isEmpty {
      let absent = DataPart.allCases.filter { options.files[$0] == nil }.map(\.rawValue)
      guard absent.isEmpty else {
        throw Failure(
          .usage,
          "\(name): all four files are named or none; not named: \(absent.joined(separator: ", "))")
      }
      return (options.files, DataPart.allCases.map { options.files[$0]! }.joined(separator: ", "), [])
    }
    let search = DataSetSearch(name: name, options: options)
    guard let directory = search.directory else { throw search.notFound(name, advice: advice) }
    return (search.files, directory, search.notes(name, options: options))
  }

  /// A valid file that is not the published one is worth a word, not an error: subsets and repaired copies exist.
  private func fingerprintNotes(_ found: [DataPart: String], files: [DataPart: String]) -> [Message] {
    DataPart.allCases.compactMap { part in
      guard let published = knownFingerprints[part], let sum = found[part], published != sum else {
        return nil
      }
      let other = DataSetRegistry.all.first { $0.knownFingerprints[part] == sum }
      let whose = other.map { ", it is that of \($0.name)" } ?? ""
      return
        "\(name): \(files[part]!) is not the published file\(whose): SHA-256 \(sum.prefix(12))…, "
        + "published \(published.prefix(12))…"
    }
  }
}
