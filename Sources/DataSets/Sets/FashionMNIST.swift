internal import Files
internal import Numerics

/// FashionMNIST: 60 000 + 10 000 pictures of clothes (Xiao, Rasul, Vollgraf 2017).
struct FashionMNIST: DataSetSource {
  let name = "fashion-mnist"
  let summary = "28 × 28 pictures of clothes, 10 classes, 60 000 + 10 000 (Debian: dataset-fashion-mnist)"
  let publishedSize: DataSetSize? = DataSetSize(
    shape: ImageShape(channels: 1, height: 28, width: 28), classes: 10, trainingSamples: 60_000,
    testSamples: 10_000)
  let defaults = DataSetDefaults(
    experts: 5, model: "fashion-mnist", epochs: 20, batchSize: 512, learningRate: 1e-3)
  let knownFingerprints: [DataPart: String] = [
    .trainImages: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    .trainLabels: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    .testImages: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    .testLabels: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
  ]

  let advice: Message =
    "run 'moe-dist data fetch fashion-mnist', apt-get install dataset-fashion-mnist, or use \(setting: "dataset") synthetic"
  var publication: Publication? {
    .idx(
      [
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
      ],
      sizes: [
        .trainImages: 26_421_880, .trainLabels: 29_515, .testImages: 4_422_102, .testLabels: 5_148,
      ], contents: knownFingerprints)
  }

  func read(_ options: DataOptions) throws(Failure) -> DataSet {
    try readIDX(
      options,
      facts: IDXFacts(
        classNames: [
          "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
          "Ankle boot",
        ], shape: ImageShape(channels: 1, height: 28, width: 28), mean: 0.2859, standardDeviation: 0.3530))
  }
}
