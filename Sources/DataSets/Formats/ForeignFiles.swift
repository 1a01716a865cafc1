internal import Files

/// Data in a form that is not read, known by the names of files: what to tell somebody whose directory has them.
///
/// Names are those of torchvision's, Keras's and TensorFlow's loaders, of Hugging Face and of Kaggle's archives.
struct ForeignFiles {
  /// What was found, and what to do, in one sentence.
  let words: Message

  /// - Parameters:
  ///   - directories: looked at in this order.
  ///   - sought: the names of the files that are wanted.
  /// - Returns: the first find; nil where there is none.
  init?(in directories: [String], sought: [String]) {
    for directory in directories {
      guard let names = try? CheckedDirectory.names(directory).map(\.name) else { continue }
      guard let words = Self.words(names, in: directory, sought: sought) else { continue }
      self.words = words
      return
    }
    return nil
  }

  private static let pickled = "CIFAR for Python, pickles, which may run code when read"

  private static func words(_ names: [String], in directory: String, sought: [String]) -> Message? {
    for (suffix, command) in [(".xz", "xz -dk"), (".bz2", "bzip2 -dk"), (".zst", "zstd -dk")] {
      if let name = names.first(where: { name in sought.contains { name == $0 + suffix } }) {
        return "\(directory) has \(name), which is not read as it is; decompress it by '\(command)'"
      }
    }
    // What torchvision and Keras call the folder, and what is in it.
    let folders = ["cifar-10-batches-py", "cifar-100-python"]
    if let name = names.first(where: { folders.contains($0) || $0 == "data_batch_1" || $0 == "batches.meta" })
    {
      return
        "\(directory) has \(name), which is \(pickled); the binary version is read, which 'moe-dist data fetch' gets"
    }
    if let name = names.first(where: { $0.contains(".tar") || $0.hasSuffix(".tgz") || $0.hasSuffix(".zip") })
    {
      return "\(directory) has \(name), which is an archive; unpack it there"
    }
    if let name = names.first(where: { $0.contains("-ubyte") && !isSought($0, sought) }) {
      return
        "\(directory) has \(name), which is of another data set or split; name the four files of one by \(setting: "dataset") idx \(setting: "train-images"), \(setting: "train-labels"), \(setting: "test-images") and \(setting: "test-labels")"
    }
    for (endings, what) in forms {
      guard let name = names.first(where: { name in endings.contains { name.lowercased().hasSuffix($0) } })
      else { continue }
      return
        "\(directory) has \(name), \(what), which is not read; write its arrays as IDX files, or take the published files, which 'moe-dist data fetch' gets"
    }
    if let name = names.first(where: { $0.contains(".tfrecord") }) {
      return
        "\(directory) has \(name), records of TensorFlow, which are not read; take the published files, which 'moe-dist data fetch' gets"
    }
    if let folder = ["train", "training"].first(where: { SafeFile.isDirectory("\(directory)/\($0)/0") }) {
      return
        "\(directory) has \(folder), folders of pictures, which are not read; write their pixels as IDX files, or take the published files, which 'moe-dist data fetch' gets"
    }
    return nil
  }

  /// Whether a name is one of those that are wanted, compressed or not.
  private static func isSought(_ name: String, _ sought: [String]) -> Bool {
    sought.contains { name == $0 || name == $0 + ".gz" }
  }

  private static let forms: [(endings: [String], what: String)] = [
    ([".npz"], "a NumPy archive, as Keras has it"), ([".npy"], "a NumPy array"),
    ([".parquet"], "a Parquet file, as Hugging Face has it"), ([".arrow"], "an Arrow file"),
    ([".csv"], "a table as text, as Kaggle has it"),
    ([".pt", ".pth", ".pkl", ".pickle"], "a pickle, which may run code when read"),
    ([".mat"], "a MATLAB file"), ([".h5", ".hdf5"], "an HDF5 file"),
    ([".png", ".jpg", ".jpeg", ".bmp"], "a picture"),
  ]
}
