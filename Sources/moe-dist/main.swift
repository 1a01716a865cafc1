import launcher

MoEDist.start()
