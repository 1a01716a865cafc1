public import Files
internal import Glibc
internal import Numerics

/// Writes data sets as CIFAR-100 binary files.
public enum CIFARFile {
  /// Writes `train.bin`, `test.bin`, `fine_label_names.txt` and `coarse_label_names.txt`, which the data set `cifar-100`
  /// reads.
  ///
  /// - Parameter directory: made if it is not there; none of the files may be in it.
  /// - Returns: the paths of the files.
  /// - Throws: `Failure`: `.usage` for data that the format cannot hold, `.cannotCreate` where a file exists or cannot be
  ///   made, `.inputOutput` where writing fails; a file that is not complete is removed.
  @discardableResult
  public static func write(_ data: DataSet, to directory: String) throws(Failure) -> [String] {
    guard data.train.shape == CIFARFormat.shape, let coarseNames = data.coarseNames,
      data.classes == 100, coarseNames.count == 20
    else {
      throw Failure(
        .usage,
        "\(data.name) cannot be written as CIFAR-100, which has images of 32 × 32 × 3 and 100 classes in 20 coarse ones"
      )
    }
    guard mkdir(directory, 0o777) == 0 || errno == EEXIST else {
      throw SystemError.last.making("directory \(directory)")
    }
    func text(_ names: [String]) -> [UInt8] { names.flatMap { Array($0.utf8) + [UInt8(ascii: "\n")] } }
    let files = [
      ("train.bin", records(data.train)), ("test.bin", records(data.test)),
      ("fine_label_names.txt", text(data.classNames)), ("coarse_label_names.txt", text(coarseNames)),
    ]
    for (name, bytes) in files { try write(bytes, to: "\(directory)/\(name)") }
    return files.map { "\(directory)/\($0.0)" }
  }

  private static func records(_ set: ImageSet) -> [UInt8] {
    guard let coarse = set.coarseLabels else { preconditionFailure("a set of two levels has coarse labels") }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(set.count * CIFARFormat.cifar100.recordBytes)
    set.images.withUnsafeBufferPointer { images in
      for index in 0..<set.count {
        bytes += [coarse[index], set.labels[index]]
        bytes += UnsafeBufferPointer(
          rebasing: images[index * set.shape.pixels..<(index + 1) * set.shape.pixels])
      }
    }
    return bytes
  }

  private static func write(_ bytes: [UInt8], to path: String) throws(Failure) {
    var file = try CheckedFile.creating(path) { $0.making(path, advice: "choose another directory") }
    do throws(Failure) {
      try file.write(bytes)
      try file.synchronise()
      try file.close()
    } catch {
      unlink(path)
      throw error
    }
  }
}
