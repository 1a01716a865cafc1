public import Files
package import Numerics

extension ImageSet {
  /// Reads a pair of IDX files.
  ///
  /// Both headers are read and compared before either data part, so that a wrong pair costs neither time nor memory.
  /// - Parameters:
  ///   - classes: labels must be below it.
  ///   - shape: what the images must be; nil: whatever the file says.
  /// - Returns: the images, and the SHA-256 of each decompressed file.
  /// - Throws: `Failure(.badData, …)` for every malformed file, naming file, offset, expected and found.
  package static func readIDX(
    images imagePath: String, labels labelPath: String, classes: Int = 256, shape: ImageShape? = nil
  ) throws(Failure) -> (set: ImageSet, imageFingerprint: String, labelFingerprint: String) {
    let imageFile = try IDXFile(path: imagePath, kind: .images)
    let labelFile = try IDXFile(path: labelPath, kind: .labels)
    let found = ImageShape(channels: 1, height: imageFile.rows, width: imageFile.columns)
    if let shape, shape != found {
      throw Failure(
        .badData,
        "\(imagePath): at byte 8: expected images of \(shape.height) × \(shape.width) pixels, "
          + "found \(found.height) × \(found.width)")
    }
    guard labelFile.count == imageFile.count else {
      throw Failure(
        .badData,
        "\(labelPath): at byte 4: expected \(imageFile.count) labels for the images of \(imagePath), "
          + "found \(labelFile.count)")
    }
    let (labels, labelFingerprint) = try labelFile.labels()
    if classes < 256, let wrong = labels.firstIndex(where: { Int($0) >= classes }) {
      throw Failure(
        .badData,
        "\(labelPath): at byte \(8 + wrong * labelFile.itemBytes): expected a label below \(classes), found \(labels[wrong])"
      )
    }
    let (images, imageFingerprint) = try imageFile.data()
    return (ImageSet(shape: found, images: images, labels: labels), imageFingerprint, labelFingerprint)
  }

  /// Reads images whose labels are not wanted, from an IDX file, or from a CIFAR file where `set` has colours; every
  /// label is 0.
  ///
  /// - Parameter set: what the images must be like; where it has coarse labels, a CIFAR file has two label bytes.
  /// - Throws: `Failure(.badData, …)` for a malformed file or another shape, naming file, offset, expected and found.
  public static func unlabelled(_ path: String, like set: ImageSet) throws(Failure) -> ImageSet {
    let shape = set.shape
    if shape == CIFARFormat.shape {
      return try unlabelledCIFAR(path, set.coarseLabels == nil ? .cifar10 : .cifar100)
    }
    let file = try IDXFile(path: path, kind: .images)
    guard file.rows == shape.height, file.columns == shape.width, shape.channels == 1 else {
      throw Failure(
        .badData,
        "\(path): at byte 8: expected images of \(shape.height) × \(shape.width) pixels, as the model was trained on, "
          + "found \(file.rows) × \(file.columns)")
    }
    let (images, _) = try file.data()
    return ImageSet(shape: shape, images: images, labels: Array(repeating: 0, count: file.count))
  }
}
