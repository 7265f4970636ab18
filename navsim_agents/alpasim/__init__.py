"""AlpaSim's driver contract: any agent of ours behind the gRPC service ``EgodriverService`` (docs/alpasim.md).

What a client sends is kept in order of time (:mod:`.session`), made into NAVSIM's agent input, planned
(:mod:`.driver`) and answered in the client's own frame. Only :mod:`.messages`, :mod:`.service`, :mod:`.server` and
:mod:`.client` need the optional package ``carla-driver-interface``.
"""
