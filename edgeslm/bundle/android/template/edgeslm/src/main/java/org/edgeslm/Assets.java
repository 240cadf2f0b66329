package org.edgeslm;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;

/** Where the app's assets are; on a phone {@link AndroidAssets}. Names are paths with slashes. */
interface Assets {
    /** The asset's bytes from its beginning. Throws AssetMissingException where there is no such asset. */
    InputStream open(String name) throws AssetMissingException;

    /** The asset mapped into memory; null where that is not possible, because the package holds it compressed. */
    ByteBuffer map(String name) throws AssetMissingException, IOException;
}
