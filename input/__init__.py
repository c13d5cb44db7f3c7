"""Raw click logs -> shards of row groups -> batches.

Each module imports only from the layers below:

    describe > {prepare, batches, check} > {logs, shards} > schema
"""
