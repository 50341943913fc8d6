"""Object stores: what stands in a bucket, and the shelf on which machines share results.

Reading tables from them belongs in ``baton.sources``.
"""
