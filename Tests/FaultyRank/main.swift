import Foundation
import launcher

// moe-dist with a fault, which the environment describes: MOE_DIST_FAULT=throw@phase=experts,rank=1,step=3. The program
// itself knows no such variable.
if let text = ProcessInfo.processInfo.environment["MOE_DIST_FAULT"] {
  guard let fault = Fault(text) else {
    print(
      "MOE_DIST_FAULT '\(text)' is not of the form throw|exit|trap|kill|stop|stall@phase=P,rank=R[,step=S][,count=N]"
    )
    exit(64)
  }
  MoEDist.start { stage, step, rank in try fault.strike(stage, step: step, rank: rank) }
}
MoEDist.start()
