package org.edgeslm;

/** The app has no such asset: the model is not packaged, or under another name. */
public final class AssetMissingException extends EdgeSlmException {
    private static final long serialVersionUID = 1;

    private final String asset;

    AssetMissingException(String asset) {
        super("the app has no asset " + asset, "add the .aar, or the module's assets folder, to the app that is built");
        this.asset = asset;
    }

    /** Its path in the app's assets. */
    public String getAsset() {
        return asset;
    }
}
